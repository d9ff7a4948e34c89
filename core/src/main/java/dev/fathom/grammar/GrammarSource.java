package dev.fathom.grammar;

import java.util.List;

/** What a grammar is compiled from. Equal sources give the same grammar. */
public sealed interface GrammarSource {

  /**
   * A JSON schema.
   *
   * @param json the document
   * @param gap where white space may stand
   * @param open whether properties that the schema does not mention may be written
   */
  record Schema(String json, JsonGap gap, boolean open) implements GrammarSource {}

  /** Any JSON object. */
  record AnyObject(JsonGap gap) implements GrammarSource {}

  /** A regular expression that the whole answer matches. */
  record Regex(String pattern) implements GrammarSource {}

  /** One of some texts. */
  record OneOf(List<String> texts) implements GrammarSource {

    /** Copies the list. */
    public OneOf {
      texts = List.copyOf(texts);
    }
  }

  /** A grammar in GBNF with a rule {@code root}. */
  record Gbnf(String source) implements GrammarSource {}

  /**
   * A grammar behind line feeds that do not belong to it.
   *
   * @param most how many line feeds there may be
   */
  record AfterNewlines(GrammarSource source, int most) implements GrammarSource {}
}
