package dev.fathom.jmh;

import dev.fathom.grammar.CompiledGrammar;
import dev.fathom.grammar.GrammarMatcher;
import dev.fathom.grammar.GrammarSource;
import dev.fathom.grammar.Grammars;
import dev.fathom.grammar.JsonGap;
import dev.fathom.grammar.TokenBytes;
import dev.fathom.text.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPInputStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.Blackhole;

/**
 * Masks over DeepSeek V3's 128,000 tokens: one operation makes the mask of the next token of an
 * answer and takes that token. Sampled, so that percentiles show the rare slow states. Run from the
 * repository's root.
 */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
@State(Scope.Thread)
public class TokenMaskBenchmark {

  /** Which grammar. */
  @Param({"object", "schema", "regex", "gbnf"})
  public String kind = "object";

  private CompiledGrammar grammar;
  private GrammarMatcher matcher;
  private int[] answer = {};
  private int at;

  /** Reads the tokenizer and compiles the grammar. */
  @Setup(Level.Trial)
  public void setUp() throws IOException {
    Path file = Path.of("core/src/test/resources/dev/fathom/text/deepseek-v3.tokenizer.json.gz");
    Tokenizer tokenizer;
    try (InputStream in = new GZIPInputStream(Files.newInputStream(file))) {
      tokenizer = Tokenizer.parse(in.readAllBytes());
    }
    Grammars grammars = new Grammars(TokenBytes.of(tokenizer, 129_280));
    grammar = grammars.compile(source());
    answer = tokenizer.encodeText(text());
    matcher = grammar.newMatcher();
  }

  private GrammarSource source() {
    return switch (kind) {
      case "object" -> new GrammarSource.AnyObject(JsonGap.FLEXIBLE);
      case "schema" ->
          new GrammarSource.Schema(
              """
              {"type": "object", "required": ["name", "age", "born", "bio"],
               "properties": {"name": {"type": "string", "maxLength": 60},
                 "age": {"type": "integer", "minimum": 0, "maximum": 130},
                 "tags": {"type": "array", "items": {"enum": ["red", "blue"]}, "maxItems": 5},
                 "born": {"type": "string", "format": "date"},
                 "bio": {"type": "string"}}}\
              """,
              JsonGap.FLEXIBLE,
              false);
      case "gbnf" ->
          new GrammarSource.Gbnf(
              """
              root ::= (statement "\\n")+
              statement ::= name " = " sum
              sum ::= product (" + " product)*
              product ::= atom ("*" atom)*
              atom ::= name | number | "(" sum ")"
              name ::= [a-z]+
              number ::= [0-9]+ ("." [0-9]+)?
              """);
      default -> new GrammarSource.Regex("(https?://)?[a-z0-9.-]+(/[\\w.~-]*)*( [A-Z][a-z]+)*");
    };
  }

  private String text() {
    return switch (kind) {
      case "object" ->
          "{\n  \"users\": [\n    {\"id\": 1, \"name\": \"Ann \\\"A\\\" Lee\", \"score\": 12.5e3},\n"
              + "    {\"id\": 2, \"nested\": {\"a\": [[1, 2], [3, {\"d\": \"deep text, 你好\"}]]}}\n  ]\n}";
      case "schema" ->
          "{\"name\": \"Johann Wolfgang von Goethe\", \"age\": 82, \"tags\": [\"red\", \"blue\"], "
              + "\"born\": \"1749-08-28\", \"bio\": \"A German poet, playwright, novelist and critic\"}";
      case "gbnf" -> "total = (price + 12.5)*count + ((a*b) + 3)\nrate = total*(1 + vat)\n";
      default -> "https://example.com/some/path/to/a.file Hello World Again";
    };
  }

  /** Makes a mask and takes a token. */
  @Benchmark
  public void maskAndAccept(Blackhole blackhole) {
    if (at == answer.length) {
      at = 0;
      matcher = grammar.newMatcher();
    }
    blackhole.consume(matcher.mask());
    if (!matcher.accept(answer[at++])) {
      throw new IllegalStateException("must be allowed: index=" + (at - 1));
    }
  }
}
