package dev.fathom.grammar;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Compiles grammars for a vocabulary and keeps the last ones, so that requests with the same schema
 * share what was learnt of its masks. Compiling runs on the caller's thread. Safe for several
 * threads.
 */
public final class Grammars {

  private static final int MAX_KEPT = 32;

  /** Longest time that compiling takes for masks beyond those of the first token. */
  private static final long WARM_NANOS = 60_000_000;

  private final TokenBytes vocabulary;
  private final Map<GrammarSource, CompiledGrammar> kept =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<GrammarSource, CompiledGrammar> eldest) {
          return size() > MAX_KEPT;
        }
      };

  /** Creates an empty cache for a vocabulary. */
  public Grammars(TokenBytes vocabulary) {
    this.vocabulary = vocabulary;
  }

  /**
   * Compiles a grammar, or returns it if it is known.
   *
   * @throws InvalidRequestException (5002) if it is malformed, (5003) if it cannot be enforced or
   *     nothing matches it, (5004) if it is too large
   */
  public CompiledGrammar compile(GrammarSource source) {
    synchronized (kept) {
      CompiledGrammar known = kept.get(source);
      if (known != null) {
        return known;
      }
    }
    CompiledGrammar made = new CompiledGrammar(network(source, Budget.ofRequest()), vocabulary);
    made.newMatcher().warm(WARM_NANOS);
    synchronized (kept) {
      CompiledGrammar raced = kept.putIfAbsent(source, made);
      return raced == null ? made : raced;
    }
  }

  static RuleNetwork network(GrammarSource source, Budget budget) {
    Rules rules = new Rules(budget);
    try {
      Expr root = root(source, rules);
      int start = rules.declare("answer");
      rules.define(start, root);
      return NetworkBuilder.build(rules, start);
    } catch (StackOverflowError e) {
      throw new InvalidRequestException(
          ErrorCode.GRAMMAR_TOO_LARGE,
          "The response format is nested too deeply to be compiled",
          "it must be compiled within the stack of the calling thread",
          "nest less deeply");
    }
  }

  private static Expr root(GrammarSource source, Rules rules) {
    return switch (source) {
      case GrammarSource.Schema schema ->
          SchemaCompiler.compile(
              schema.json(),
              rules,
              schema.gap(),
              schema.open() ? SchemaCompiler.Mode.OPEN : SchemaCompiler.Mode.CLOSED);
      case GrammarSource.AnyObject object -> new JsonRules(rules, object.gap()).object();
      case GrammarSource.Regex regex ->
          Patterns.whole(RegexParser.parse(regex.pattern()), rules.budget());
      case GrammarSource.OneOf choice -> choice(choice.texts());
      case GrammarSource.Gbnf gbnf -> GbnfParser.parse(gbnf.source(), rules);
      case GrammarSource.Calls calls -> CallRules.of(calls, rules);
      case GrammarSource.AfterNewlines after ->
          Expr.seq(new Expr.Repeat(Expr.text("\n"), 0, after.most()), root(after.source(), rules));
    };
  }

  private static Expr choice(List<String> texts) {
    long length = texts.stream().mapToLong(String::length).sum();
    if (texts.isEmpty() || length > Budget.MAX_SOURCE_LEN) {
      throw new InvalidRequestException(
          ErrorCode.GRAMMAR_INVALID,
          "The list of choices cannot be used",
          "must be in [1, " + Budget.MAX_SOURCE_LEN + "]: characters of all choices=" + length,
          "give at least one choice, and fewer or shorter ones");
    }
    return new Expr.Texts(texts);
  }
}
