package dev.fathom.grammar;

import dev.fathom.text.CallNotation;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

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
   * Calls of tools, behind the mark that opens them.
   *
   * @param notation how they are written
   * @param controls tokens that stand for texts of the notation
   * @param tools what may be called, at least one
   */
  record Calls(CallNotation notation, Map<String, Integer> controls, List<Tool> tools)
      implements GrammarSource {

    /** Copies map and list. */
    public Calls {
      controls = Map.copyOf(controls);
      tools = List.copyOf(tools);
    }
  }

  /**
   * A tool that may be called.
   *
   * @param name its name
   * @param schema JSON schema of its arguments, null for any
   */
  record Tool(String name, @Nullable String schema) {}

  /**
   * A grammar behind line feeds that do not belong to it.
   *
   * @param most how many line feeds there may be
   */
  record AfterNewlines(GrammarSource source, int most) implements GrammarSource {}
}
