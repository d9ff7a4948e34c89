package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.Bytes;
import dev.fathom.DeepSeekModel;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.LoadOptions;
import dev.fathom.Prompt;
import dev.fathom.error.FathomException;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.kvcache.KvFormat;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Blocks that leave a small KV cache come back from memory and files, with the same answers to the
 * last bit, on every backend that implements this.
 */
public abstract class SecondTierContract {

  private static final Path SAMPLE = Path.of("..", "examples", "models", "sample");
  private static final List<String> TEXTS =
      List.of(
          "What is the capital of Norway? The capital of Norway is a city",
          "Once upon a time there was a fox who lived in a forest and",
          "Twenty seven and forty eight make a number that is more than");

  @TempDir Path folder;

  /** Returns the name of the backend. */
  protected abstract String backend();

  private LoadOptions options(KvFormat format) {
    return LoadOptions.defaults()
        .backend(backend())
        .contextTokens(32)
        .maxSequences(1)
        .kvBlockTokens(4)
        .kvCacheTokens(32)
        .prefillChunkTokens(8)
        .kvCache(format);
  }

  private static DeepSeekModel load(LoadOptions options) {
    return DeepSeekModel.builder(SAMPLE).options(options).load();
  }

  private static Generation ask(DeepSeekModel model, int text, String tenant) {
    return model.generate(
        GenerationRequest.of(Prompt.text(TEXTS.get(text)))
            .maxTokens(6)
            .temperature(1)
            .seed(9)
            .topLogprobs(3)
            .tenant(tenant)
            .ignoreEos(true)
            .build());
  }

  private static int whole(Generation g) {
    return (g.usage().promptTokens() - 1) / 4 * 4;
  }

  @Test
  void whatLeftTheCacheComesBackFromMemoryWithTheSameBits() {
    for (KvFormat format : List.of(KvFormat.F32, KvFormat.FP8_E4M3)) {
      try (DeepSeekModel plain = load(options(format));
          DeepSeekModel tiered = load(options(format).kvHostMemory(Bytes.mib(4)))) {
        for (int round = 0; round < 2; round++) {
          for (int text = 0; text < TEXTS.size(); text++) {
            Generation expected = ask(plain, text, "a");
            Generation actual = ask(tiered, text, "a");
            assertThat(actual.logprobs()).isEqualTo(expected.logprobs());
            assertThat(actual.usage().cachedTokens()).isEqualTo(round == 0 ? 0 : whole(actual));
            assertThat(expected.usage().cachedTokens()).isLessThan(whole(expected));
          }
        }
        assertThat(plain.metrics().secondTier().keptBlocks()).isZero();
        long restored = tiered.metrics().secondTier().restoredTokens();
        assertThat(restored).isPositive();
        assertThat(tiered.metrics().secondTier().keptBlocks()).isPositive();
        Generation other = ask(tiered, 0, "b");
        assertThat(other.usage().cachedTokens()).as("of another tenant").isZero();
        assertThat(other.logprobs()).isEqualTo(ask(plain, 0, "b").logprobs());
        assertThat(tiered.metrics().secondTier().restoredTokens()).isEqualTo(restored);
      }
    }
  }

  @Test
  void whatLeftTheCacheComesBackFromFilesInTheNextProcessToo() {
    LoadOptions options = options(KvFormat.F32).kvFolder(folder, Bytes.mib(64));
    Generation expected;
    try (DeepSeekModel model = load(options)) {
      expected = ask(model, 0, "a");
      ask(model, 1, "a");
      ask(model, 2, "a");
      assertThat(ask(model, 0, "a").logprobs()).isEqualTo(expected.logprobs());
      assertThat(model.metrics().secondTier().restoredTokens()).isPositive();
      ask(model, 2, "a");
      assertThatThrownBy(() -> load(options))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessageContaining("another model of this process uses it");
    }
    assertThat(files()).isNotEmpty();
    try (DeepSeekModel model = load(options)) {
      Generation again = ask(model, 0, "a");
      assertThat(again.usage().cachedTokens()).isEqualTo(whole(again));
      assertThat(again.logprobs()).isEqualTo(expected.logprobs());
      assertThat(ask(model, 0, "b").usage().cachedTokens()).as("of another tenant").isZero();
    }
    try (DeepSeekModel model = load(options.kvCache(KvFormat.BF16))) {
      assertThat(ask(model, 0, "a").usage().cachedTokens()).as("in another format").isZero();
    }
  }

  @Test
  void damagedFilesAreComputedAgain() {
    LoadOptions options = options(KvFormat.F32).kvFolder(folder, Bytes.mib(64));
    Generation expected;
    try (DeepSeekModel model = load(options)) {
      expected = ask(model, 0, "a");
      ask(model, 1, "a");
      ask(model, 2, "a");
    }
    for (Path file : files()) {
      byte[] bytes = read(file);
      bytes[bytes.length / 2] ^= 4;
      write(file, bytes);
    }
    try (DeepSeekModel model = load(options)) {
      Generation again = ask(model, 0, "a");
      assertThat(again.usage().cachedTokens()).isZero();
      assertThat(again.logprobs()).isEqualTo(expected.logprobs());
      assertThat(model.metrics().secondTier().damagedBlocks()).isPositive();
    }
    for (Path file : files()) {
      write(file, new byte[0]);
    }
    try (DeepSeekModel model = load(options)) {
      assertThat(ask(model, 0, "a").usage().cachedTokens()).isZero();
    }
  }

  @Test
  void memoryForLessThanABlockAndATierWithoutPrefixesAreRefused() {
    LoadOptions small = options(KvFormat.F32).kvHostMemory(Bytes.of(100));
    assertThatThrownBy(() -> load(small))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("must hold a block of each group: bytes=100")
        .satisfies(e -> load(small.kvHostMemory(Bytes.of(needed((FathomException) e)))).close());
    LoadOptions off = options(KvFormat.F32).kvHostMemory(Bytes.mib(1)).prefixCache(false);
    assertThatThrownBy(() -> load(off))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("prefixCache=false");
    assertThatThrownBy(() -> off.kvFolder(folder, Bytes.of(0)))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("kvFolder.limit=0");
    long with = DeepSeekModel.plan(SAMPLE, small.kvHostMemory(Bytes.mib(1))).kvCacheBytes();
    long without = DeepSeekModel.plan(SAMPLE, options(KvFormat.F32)).kvCacheBytes();
    assertThat(with - without).isEqualTo(1 << 20);
  }

  private static long needed(FathomException e) {
    String text = String.valueOf(e.getMessage());
    int at = text.indexOf("needed=") + "needed=".length();
    int end = at;
    while (end < text.length() && Character.isDigit(text.charAt(end))) {
      end++;
    }
    return Long.parseLong(text, at, end, 10);
  }

  private List<Path> files() {
    try (Stream<Path> all = Files.walk(folder)) {
      return all.filter(path -> path.toString().endsWith(".kv")).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static byte[] read(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void write(Path file, byte[] bytes) {
    try {
      Files.write(file, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
