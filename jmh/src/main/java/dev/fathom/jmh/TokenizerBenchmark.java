package dev.fathom.jmh;

import dev.fathom.text.TokenDecoder;
import dev.fathom.text.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPInputStream;
import org.openjdk.jmh.annotations.AuxCounters;
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
 * Encoding, decoding and loading with DeepSeek V3's tokenizer on one thread.
 *
 * <p>One operation of {@link #encode} and {@link #decode} is the whole corpus; the counter {@code
 * megabytes} (of UTF-8, 10^6) divided by the time is the throughput. {@code mixed} is 3 MB or so of
 * English, code and Chinese, see {@link TokenizerCorpus}. Run from the repository's root. {@link
 * #load} reads the 7.8 MB file from memory; a cold start is what {@code -bm ss -wi 0 -f 5} shows.
 */
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(2)
public class TokenizerBenchmark {

  /** The tokenizer and the texts. */
  @State(Scope.Benchmark)
  public static class Corpus {
    /** Which texts. */
    @Param({"mixed", "english", "code", "chinese"})
    public String kind = "mixed";

    /** The repository's root. */
    @Param(".")
    public String repository = ".";

    byte[] json = {};
    Tokenizer tokenizer;
    List<String> texts = List.of();
    int[] ids = {};
    double megabytes;

    /** Reads the tokenizer and makes the texts. */
    @Setup(Level.Trial)
    public void setUp() throws IOException {
      Path root = Path.of(repository).toAbsolutePath().normalize();
      Path file =
          root.resolve("core/src/test/resources/dev/fathom/text/deepseek-v3.tokenizer.json.gz");
      try (InputStream in = new GZIPInputStream(Files.newInputStream(file))) {
        json = in.readAllBytes();
      }
      tokenizer = Tokenizer.parse(json);
      texts = TokenizerCorpus.texts(kind, root, tokenizer);
      String all = String.join("", texts);
      ids = tokenizer.encodeText(all);
      megabytes = all.getBytes(StandardCharsets.UTF_8).length / 1e6;
    }
  }

  /** Counts what was done besides operations. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  public static class Done {
    /** Megabytes of UTF-8. */
    public double megabytes;

    /** Tokens, in millions. */
    public double megatokens;
  }

  /** Encodes all texts, 4,096 characters at a time. */
  @Benchmark
  public void encode(Corpus corpus, Done done, Blackhole blackhole) {
    long numTokens = 0;
    for (String text : corpus.texts) {
      int[] ids = corpus.tokenizer.encodeText(text);
      numTokens += ids.length;
      blackhole.consume(ids);
    }
    done.megabytes += corpus.megabytes;
    done.megatokens += numTokens / 1e6;
  }

  /** Decodes all tokens one by one, as a stream does. */
  @Benchmark
  public void decode(Corpus corpus, Done done, Blackhole blackhole) {
    TokenDecoder decoder = new TokenDecoder(corpus.tokenizer);
    for (int id : corpus.ids) {
      blackhole.consume(decoder.accept(id));
    }
    done.megabytes += corpus.megabytes;
    done.megatokens += corpus.ids.length / 1e6;
  }

  /** Reads the tokenizer from memory. */
  @Benchmark
  public Tokenizer load(Corpus corpus) {
    return Tokenizer.parse(corpus.json);
  }
}
