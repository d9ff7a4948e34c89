package dev.fathom.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.DeepSeekModel;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.TokenStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * After closing a model nothing of it is left: no thread, no file, no memory.
 *
 * <p>{@code -Pcycles} loads and closes thousands of times and looks at the resident memory.
 */
class NothingLeftTest {

  private static final int CYCLES = Integer.getInteger("fathom.cycles", 24);
  private static final int MANY = 1_000;
  private static final long KIB = 1L << 10;

  @TempDir Path folder;

  private static List<String> threads() {
    return Thread.getAllStackTraces().keySet().stream()
        .map(Thread::getName)
        .filter(name -> name.startsWith("fathom-"))
        .toList();
  }

  private static long openFiles() throws IOException {
    Path fds = Path.of("/proc/self/fd");
    if (!Files.isDirectory(fds)) {
      return 0;
    }
    try (Stream<Path> files = Files.list(fds)) {
      return files.count();
    }
  }

  private static long residentBytes() throws IOException {
    Path status = Path.of("/proc/self/status");
    if (!Files.exists(status)) {
      return 0;
    }
    return Files.readAllLines(status).stream()
        .filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * KIB)
        .sum();
  }

  private static void useAndClose(Path path, String backend, int cycle) {
    try (DeepSeekModel model =
        DeepSeekModel.builder(path)
            .backend(backend)
            .contextTokens(64)
            .threads(2)
            .mapWeights(cycle % 2 == 0)
            .load()) {
      GenerationRequest request =
          GenerationRequest.of(Prompt.tokens(new int[] {3, 4, 5})).maxTokens(4).build();
      model.generate(request);
      model.submit(request).join();
      if (cycle % 3 == 0) {
        TokenStream left = model.stream(request.toBuilder().ignoreEos(true).maxTokens(50).build());
        assertThat(left.iterator().hasNext()).isTrue();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void loadingAndClosingLeavesNoThreadNoFileAndNoMemory(String backend) throws Exception {
    Path path = TinyCheckpoint.write(folder, 256);
    int warm = Math.max(4, CYCLES / 4);
    for (int i = 0; i < warm; i++) {
      useAndClose(path, backend, i);
    }
    awaitNoThreads();
    long files = openFiles();
    System.gc();
    long before = residentBytes();
    for (int i = 0; i < CYCLES; i++) {
      useAndClose(path, backend, i);
    }
    awaitNoThreads();
    assertThat(openFiles()).isLessThanOrEqualTo(files);
    System.gc();
    long grown = residentBytes() - before;
    if (CYCLES >= MANY) {
      assertThat(grown / (CYCLES / MANY)).as("bytes a 1,000 cycles").isLessThan(16 << 20);
    }
  }

  private static void awaitNoThreads() throws InterruptedException {
    for (int i = 0; i < 500 && !threads().isEmpty(); i++) {
      Thread.sleep(10);
    }
    assertThat(threads()).isEmpty();
  }

  @Test
  void aStreamThatIsDroppedIsCancelledAndItsBlocksAreFree() throws Exception {
    try (DeepSeekModel model =
        DeepSeekModel.builder(TinyCheckpoint.write(folder, 256))
            .backend("cpu")
            .contextTokens(400)
            .load()) {
      dropAStream(model);
      for (int i = 0; i < 200 && model.usedKvBlocks() > 0; i++) {
        System.gc();
        Thread.sleep(20);
      }
      assertThat(model.usedKvBlocks()).isZero();
    }
  }

  private static void dropAStream(DeepSeekModel model) throws InterruptedException {
    TokenStream stream =
        model.stream(
            GenerationRequest.of(Prompt.tokens(new int[] {3}))
                .ignoreEos(true)
                .maxTokens(390)
                .streamBuffer(4)
                .build());
    assertThat(stream.iterator().next().id()).isNotNegative();
    for (int i = 0; i < 500 && model.metrics().pausedRequests() == 0; i++) {
      Thread.sleep(5);
    }
    assertThat(model.metrics().pausedRequests()).isEqualTo(1);
    assertThat(model.usedKvBlocks()).isPositive();
  }
}
