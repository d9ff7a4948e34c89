package dev.fathom;

import dev.fathom.engine.AnswerGrammar;
import dev.fathom.grammar.GrammarSource;
import dev.fathom.grammar.Grammars;
import dev.fathom.grammar.JsonGap;
import dev.fathom.grammar.TextTrigger;
import dev.fathom.grammar.TokenBytes;
import dev.fathom.text.CallNotation;
import dev.fathom.text.OutputParser;
import dev.fathom.text.Tokenizer;
import dev.fathom.text.ToolDefinition;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Compiles response formats for the vocabulary of a model, of which a tree is made with the first
 * one. Safe for several threads.
 */
final class ResponseFormats {

  private static final int MAX_ENDS = 64;

  private final Tokenizer tokenizer;
  private final int vocabSize;
  private @Nullable Vocabulary vocabulary;

  /** What is made with the first format: the tree, the cache, the tokens of reasoning. */
  private record Vocabulary(TokenBytes bytes, Grammars grammars, long[] reasoning) {}

  ResponseFormats(Tokenizer tokenizer, int vocabSize) {
    this.tokenizer = tokenizer;
    this.vocabSize = vocabSize;
  }

  private synchronized Vocabulary vocabulary() {
    Vocabulary made = vocabulary;
    if (made == null) {
      TokenBytes bytes = TokenBytes.of(tokenizer, vocabSize);
      long[] reasoning = bytes.ordinary();
      allow(OutputParser.REASONING_START, reasoning);
      allow(OutputParser.REASONING_END, reasoning);
      made = new Vocabulary(bytes, new Grammars(bytes), reasoning);
      vocabulary = made;
    }
    return made;
  }

  private void allow(String token, long[] mask) {
    int id = tokenizer.tokenId(token);
    if (id != Tokenizer.NO_TOKEN && id < vocabSize) {
      mask[id >> 6] |= 1L << id;
    }
  }

  /**
   * Compiles a format.
   *
   * @param parser a parser of the answer, which knows whether it starts with reasoning; null for
   *     plain text
   * @param endIds tokens that end the answer
   * @throws dev.fathom.error.InvalidRequestException if the format cannot be compiled, or the model
   *     has no way to end an answer
   */
  AnswerGrammar compile(ResponseFormat format, @Nullable OutputParser parser, int[] endIds) {
    requireEnds("A response format cannot be used", endIds);
    Vocabulary known = vocabulary();
    GrammarSource source = source(format);
    if (parser == null || !parser.isInReasoning()) {
      return new AnswerGrammar(known.grammars().compile(source), null, null, endIds, tokenizer);
    }
    int newlines = parser.newlinesAfterReasoning();
    if (newlines > 0) {
      source = new GrammarSource.AfterNewlines(source, newlines);
    }
    return new AnswerGrammar(
        known.grammars().compile(source),
        new TextTrigger(OutputParser.REASONING_END, known.bytes()),
        known.reasoning(),
        endIds,
        tokenizer);
  }

  /**
   * Compiles what holds the calls of an answer to tools.
   *
   * @param tools of which some are strict; the others may be called with any arguments
   * @param parser a parser of the answer, null for plain text
   * @param endIds tokens that end the answer
   * @throws dev.fathom.error.InvalidRequestException if a strict tool cannot be enforced, or the
   *     model has no calls or no way to end an answer
   */
  AnswerGrammar compileCalls(
      List<ToolDefinition> tools, @Nullable OutputParser parser, int[] endIds) {
    requireEnds("Strict tools cannot be used", endIds);
    CallNotation notation = parser == null ? null : parser.callNotation();
    if (notation == null) {
      throw Checks.invalid(
          "Strict tools cannot be used",
          "the prompt format of this model has no calls",
          "offer no strict tools, or ask for a responseFormat");
    }
    Map<String, Integer> controls = new HashMap<>();
    for (String text : CallNotation.CONTROLS) {
      int id = tokenizer.tokenId(text);
      if (tokenizer.isAdded(id) && id < vocabSize) {
        controls.put(text, id);
      }
    }
    List<GrammarSource.Tool> called =
        tools.stream()
            .map(t -> new GrammarSource.Tool(t.name(), t.strict() ? t.parametersJson() : null))
            .toList();
    Vocabulary known = vocabulary();
    return new AnswerGrammar(
        known.grammars().compile(new GrammarSource.Calls(notation, controls, called)),
        new TextTrigger(notation.opening(), known.bytes()),
        null,
        endIds,
        tokenizer);
  }

  private static void requireEnds(String what, int[] endIds) {
    if (endIds.length == 0 || endIds.length > MAX_ENDS) {
      throw Checks.invalid(
          what,
          "must be in [1, " + MAX_ENDS + "]: end and stop tokens=" + endIds.length,
          "leave ignoreEos off, or give stopTokenIds");
    }
  }

  private static GrammarSource source(ResponseFormat format) {
    return switch (format) {
      case ResponseFormat.JsonSchema f ->
          new GrammarSource.Schema(f.schema(), gap(f.whitespace()), f.openObjects());
      case ResponseFormat.JsonObject f -> new GrammarSource.AnyObject(gap(f.whitespace()));
      case ResponseFormat.Regex f -> new GrammarSource.Regex(f.pattern());
      case ResponseFormat.Choice f -> new GrammarSource.OneOf(f.texts());
      case ResponseFormat.Grammar f -> new GrammarSource.Gbnf(f.gbnf());
    };
  }

  private static JsonGap gap(ResponseFormat.Whitespace whitespace) {
    return whitespace == ResponseFormat.Whitespace.NONE ? JsonGap.NONE : JsonGap.FLEXIBLE;
  }
}
