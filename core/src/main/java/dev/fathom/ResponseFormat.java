package dev.fathom;

import java.util.List;

/**
 * What the text of an answer must look like. The engine lets only tokens through that keep to it,
 * so that a complete answer always parses; an answer that ends for lack of tokens is a beginning of
 * one. Reasoning stays free: the format holds behind it. Tools cannot be called under a format.
 *
 * <p>Formats are compiled on the thread that submits, within limits, and kept by their content.
 * docs/structured-output.md says which schemas and expressions can be enforced.
 */
public sealed interface ResponseFormat {

  /** Where white space may stand in JSON. */
  enum Whitespace {
    /** Nowhere. */
    NONE,

    /** Behind commas and colons and inside brackets, within bounds. */
    FLEXIBLE
  }

  /**
   * Returns JSON that is valid under a JSON schema (2020-12). Properties come in the order of their
   * declaration; those that the schema does not mention are not written.
   */
  static JsonSchema jsonSchema(String schema) {
    return new JsonSchema(schema, Whitespace.FLEXIBLE, false);
  }

  /** Returns any JSON object. */
  static JsonObject jsonObject() {
    return new JsonObject(Whitespace.FLEXIBLE);
  }

  /** Returns text that a regular expression (ECMA-262, without look-around) matches as a whole. */
  static Regex regex(String pattern) {
    return new Regex(pattern);
  }

  /** Returns one of some texts. */
  static Choice choice(List<String> texts) {
    return new Choice(texts);
  }

  /** Returns one of some texts. */
  static Choice choice(String... texts) {
    return new Choice(List.of(texts));
  }

  /** Returns text of the rule {@code root} of a grammar in GBNF, llama.cpp's notation. */
  static Grammar grammar(String gbnf) {
    return new Grammar(gbnf);
  }

  /**
   * JSON that is valid under a schema.
   *
   * @param schema the document
   * @param whitespace where white space may stand
   * @param openObjects whether properties may be written that the schema neither mentions nor
   *     forbids
   */
  record JsonSchema(String schema, Whitespace whitespace, boolean openObjects)
      implements ResponseFormat {

    /** Returns the same format with other white space. */
    public JsonSchema whitespace(Whitespace other) {
      return new JsonSchema(schema, other, openObjects);
    }

    /** Returns the same format, with properties that the schema does not mention allowed. */
    public JsonSchema openObjects(boolean open) {
      return new JsonSchema(schema, whitespace, open);
    }
  }

  /**
   * Any JSON object.
   *
   * @param whitespace where white space may stand
   */
  record JsonObject(Whitespace whitespace) implements ResponseFormat {}

  /**
   * Text that matches.
   *
   * @param pattern the regular expression
   */
  record Regex(String pattern) implements ResponseFormat {}

  /**
   * One of some texts.
   *
   * @param texts at least one
   */
  record Choice(List<String> texts) implements ResponseFormat {

    /** Copies the list. */
    public Choice {
      texts = List.copyOf(texts);
    }
  }

  /**
   * Text of a grammar.
   *
   * @param gbnf rules, one of them called {@code root}
   */
  record Grammar(String gbnf) implements ResponseFormat {}
}
