package dev.fathom;

import static dev.fathom.text.ChatMessage.user;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.FathomException;
import dev.fathom.error.GenerationException;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.TextException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Loading, cancelling, several threads, closing, and the errors on the way. */
class LifecycleTest {

  private static final String OSLO = "The capital of Norway is Oslo.";

  private DeepSeekModel model;

  @BeforeEach
  void load() {
    model = DeepSeekModel.builder(Sample.FP8).backend("reference").contextTokens(2048).load();
  }

  @AfterEach
  void close() {
    model.close();
  }

  private static GenerationRequest norway() {
    return GenerationRequest.of(Prompt.chat(user("What is the capital of Norway?")))
        .temperature(0)
        .build();
  }

  private static GenerationRequest endless() {
    return GenerationRequest.of(Prompt.text("The")).ignoreEos(true).maxTokens(2000).build();
  }

  private void awaitNoBlocks() throws InterruptedException {
    for (int i = 0; i < 1000 && model.usedKvBlocks() > 0; i++) {
      Thread.sleep(5);
    }
    assertThat(model.usedKvBlocks()).isZero();
  }

  @Test
  void closingAStreamCancelsAndFreesItsBlocks() throws InterruptedException {
    TokenStream stream = model.stream(endless());
    assertThat(stream.iterator().next().id()).isNotNegative();
    assertThat(model.usedKvBlocks()).isPositive();
    stream.close();
    stream.close();
    assertThat(stream.iterator().hasNext()).isFalse();
    Generation result = stream.result();
    assertThat(result.finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(result.tokenIds().length).isBetween(1, 1999);
    awaitNoBlocks();
  }

  @Test
  void cancellingAFutureCancelsTheGeneration() throws InterruptedException {
    CompletableFuture<Generation> future = model.submit(endless());
    for (int i = 0; i < 1000 && model.usedKvBlocks() == 0; i++) {
      Thread.sleep(5);
    }
    assertThat(future.cancel(true)).isTrue();
    assertThatThrownBy(future::join).isInstanceOf(CancellationException.class);
    awaitNoBlocks();
  }

  @Test
  void interruptingTheWaitingThreadCancelsAndKeepsTheInterrupt() throws InterruptedException {
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    AtomicReference<Boolean> interrupted = new AtomicReference<>();
    Thread waiting =
        new Thread(() -> {
          try {
            model.generate(endless());
          } catch (RuntimeException e) {
            thrown.set(e);
            interrupted.set(Thread.currentThread().isInterrupted());
          }
        });
    waiting.start();
    Thread.sleep(100);
    waiting.interrupt();
    waiting.join(20_000);
    assertThat(thrown.get())
        .isInstanceOfSatisfying(
            GenerationException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.GENERATION_CANCELLED));
    assertThat(interrupted.get()).isTrue();
    awaitNoBlocks();
  }

  @Test
  void severalThreadsGetTheAnswersTheyWouldGetAlone() throws Exception {
    List<CompletableFuture<Generation>> futures = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      CompletableFuture<Generation> future = new CompletableFuture<>();
      futures.add(future);
      Thread thread = new Thread(() -> future.complete(model.generate(norway())));
      threads.add(thread);
      thread.start();
    }
    List<TokenLogprob> alone = model.generate(norway()).logprobs();
    for (CompletableFuture<Generation> future : futures) {
      Generation answer = future.get(60, TimeUnit.SECONDS);
      assertThat(answer.text()).isEqualTo(OSLO);
      assertThat(answer.logprobs()).isEqualTo(alone);
    }
    for (Thread thread : threads) {
      thread.join();
    }
    awaitNoBlocks();
  }

  @Test
  void futuresCompleteOnAThreadOfTheirOwnThatMayCallTheModel() throws Exception {
    CompletableFuture<String> chained =
        model
            .submit(norway())
            .thenApply(first -> {
              assertThat(Thread.currentThread().getName()).startsWith("fathom-callbacks-");
              return first.text() + model.generate(norway()).text();
            });
    assertThat(chained.get(60, TimeUnit.SECONDS)).isEqualTo(OSLO + OSLO);
  }

  @Test
  void afterClosingEverythingSaysThatTheModelIsClosed() throws Exception {
    TokenStream running = model.stream(endless());
    CompletableFuture<Generation> future = model.submit(endless());
    running.iterator().next();
    model.close();
    model.close();
    assertThatThrownBy(
            () -> {
              while (running.iterator().hasNext()) {
                running.iterator().next();
              }
            })
        .isInstanceOfSatisfying(
            GenerationException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.MODEL_CLOSED));
    assertThat(running.result().finishReason()).isEqualTo(FinishReason.ERROR);
    assertThatThrownBy(() -> future.get(20, TimeUnit.SECONDS))
        .isInstanceOf(ExecutionException.class)
        .hasCauseInstanceOf(GenerationException.class);
    assertThatThrownBy(() -> model.chat("hello"))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("FATHOM-6000 The model cannot generate: it was closed");
  }

  @Test
  void severalThreadsMayCloseAtOnce() throws Exception {
    TokenStream running = model.stream(endless());
    running.iterator().next();
    List<Thread> threads = new ArrayList<>();
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    for (int i = 0; i < 4; i++) {
      Thread thread = new Thread(model::close);
      thread.setUncaughtExceptionHandler((t, e) -> thrown.set(e));
      threads.add(thread);
      thread.start();
    }
    for (Thread thread : threads) {
      thread.join(20_000);
      assertThat(thread.isAlive()).isFalse();
    }
    assertThat(thrown.get()).isNull();
  }

  @Test
  void closingLeavesNoThreadBehind() throws Exception {
    model.submit(norway()).get(60, TimeUnit.SECONDS);
    model.close();
    for (int i = 0; i < 200 && !ownThreads().isEmpty(); i++) {
      Thread.sleep(10);
    }
    assertThat(ownThreads()).isEmpty();
  }

  private static List<String> ownThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .map(Thread::getName)
        .filter(name -> name.startsWith("fathom-"))
        .toList();
  }

  @Test
  void aWaitingIteratorWakesWhenItsStreamIsClosed() throws Exception {
    TokenStream stream = model.stream(endless());
    CountDownLatch done = new CountDownLatch(1);
    Thread reader =
        new Thread(() -> {
          for (Token token : stream) {
            assertThat(token.choice()).isZero();
          }
          done.countDown();
        });
    reader.start();
    Thread.sleep(50);
    stream.close();
    assertThat(done.await(20, TimeUnit.SECONDS)).isTrue();
    awaitNoBlocks();
  }

  @Test
  void progressGoesThroughThePhasesUpToAllBytes() {
    List<LoadProgress> heard = new ArrayList<>();
    DeepSeekModel.builder(Sample.FP8)
        .backend("reference")
        .contextTokens(64)
        .onProgress(heard::add)
        .load()
        .close();
    assertThat(heard.stream().map(LoadProgress::phase).distinct())
        .containsExactly(LoadPhase.OPEN, LoadPhase.READ, LoadPhase.COMPILE, LoadPhase.READY);
    assertThat(heard.getLast().fraction()).isEqualTo(1);
    assertThat(heard.getLast().doneBytes()).isEqualTo(heard.getLast().totalBytes());
    long previous = 0;
    for (LoadProgress progress : heard) {
      assertThat(progress.doneBytes()).isGreaterThanOrEqualTo(previous);
      previous = progress.doneBytes();
    }
    assertThat(previous).isBetween(13L << 20, 15L << 20);
  }

  @Test
  void progressIsPrintedAsABarOrAsLines() {
    ByteArrayOutputStream bar = new ByteArrayOutputStream();
    ByteArrayOutputStream lines = new ByteArrayOutputStream();
    LoadListener both =
        progress -> {
          ProgressBar.on(new PrintStream(bar, true, StandardCharsets.UTF_8)).onProgress(progress);
          ProgressBar.lines(new PrintStream(lines, true, StandardCharsets.UTF_8))
              .onProgress(progress);
        };
    DeepSeekModel.builder(Sample.FP8)
        .backend("reference")
        .contextTokens(64)
        .onProgress(both)
        .load()
        .close();
    assertThat(bar.toString(StandardCharsets.UTF_8))
        .contains("\r[", "100 %", "\rready: 13.")
        .endsWith(System.lineSeparator());
    assertThat(lines.toString(StandardCharsets.UTF_8))
        .contains("opening", "compiling")
        .doesNotContain("\r[");
  }

  @Test
  void aListenerThatThrowsEndsTheLoadingAndLeavesNoThread() {
    for (LoadPhase phase : LoadPhase.values()) {
      assertThatThrownBy(() ->
              DeepSeekModel.builder(Sample.FP8)
                  .backend("reference")
                  .contextTokens(64)
                  .onProgress(progress -> {
                    if (progress.phase() == phase) {
                      throw new IllegalStateException("stop at " + phase);
                    }
                  })
                  .load())
          .hasMessage("stop at " + phase);
    }
    assertThat(ownThreads().stream().filter(name -> name.contains("engine"))).hasSize(1);
  }

  @Test
  void mappedWeightsAnswerTheSame() {
    try (DeepSeekModel mapped =
        DeepSeekModel.builder(Sample.FP8)
            .backend("reference")
            .contextTokens(64)
            .mapWeights(true)
            .load()) {
      assertThat(mapped.generate(norway()).text()).isEqualTo(OSLO);
    }
  }

  private static Path copy(Path folder) throws IOException {
    Path copy = Files.createDirectory(folder.resolve("model"));
    try (Stream<Path> files = Files.list(Sample.FP8)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(file.getFileName().toString()));
      }
    }
    return copy;
  }

  private static void replace(Path file, String from, String to) throws IOException {
    String text = Files.readString(file);
    assertThat(text).contains(from);
    Files.writeString(file, text.replace(from, to));
  }

  private static FathomException failure(Path path) {
    try {
      DeepSeekModel.builder(path).backend("reference").contextTokens(64).load().close();
    } catch (FathomException e) {
      return e;
    }
    throw new AssertionError("loading must fail");
  }

  @Test
  void deletingTheFilesAfterLoadingDoesNotMatter(@TempDir Path folder) throws IOException {
    Path copy = copy(folder);
    try (DeepSeekModel loaded =
        DeepSeekModel.builder(copy).backend("reference").contextTokens(64).load()) {
      Files.write(copy.resolve("model-00001-of-00002.safetensors"), new byte[0]);
      Files.delete(copy.resolve("model-00002-of-00002.safetensors"));
      assertThat(loaded.generate(norway()).text()).isEqualTo(OSLO);
    }
  }

  @Test
  void eachWayInWhichAFolderIsWrongHasItsErrorClass(@TempDir Path folder) throws IOException {
    assertThat(failure(folder.resolve("none"))).isInstanceOf(CheckpointException.class);
    Path copy = copy(folder);
    replace(copy.resolve("config.json"), "deepseek_v3", "gpt2");
    assertThat(failure(copy)).isInstanceOf(ModelConfigException.class);
    replace(copy.resolve("config.json"), "gpt2", "deepseek_v3");
    replace(copy.resolve("config.json"), "\"hidden_size\": 256", "\"hidden_size\": 384");
    FathomException mismatch = failure(copy);
    assertThat(mismatch.code()).isEqualTo(ErrorCode.TENSOR_MISMATCH);
    assertThat(mismatch).hasMessageContainingAll("model.embed_tokens.weight", "384", "256");
    replace(copy.resolve("config.json"), "\"hidden_size\": 384", "\"hidden_size\": 256");
    replace(copy.resolve("config.json"), "\"num_hidden_layers\": 6", "\"num_hidden_layers\": 8");
    FathomException missing = failure(copy);
    assertThat(missing.code()).isEqualTo(ErrorCode.TENSOR_MISSING);
    replace(copy.resolve("config.json"), "\"num_hidden_layers\": 8", "\"num_hidden_layers\": 6");
    replace(copy.resolve("config.json"), "\"fp8\"", "\"exl2\"");
    assertThat(failure(copy).code()).isEqualTo(ErrorCode.QUANTIZATION_UNSUPPORTED);
    replace(copy.resolve("config.json"), "\"exl2\"", "\"fp8\"");
    Files.delete(copy.resolve("tokenizer.json"));
    assertThat(failure(copy)).isInstanceOf(TextException.class);
  }

  @Test
  void aModelWithoutChatTemplateGeneratesButDoesNotChat(@TempDir Path folder) throws IOException {
    Path copy = copy(folder);
    Files.delete(copy.resolve("tokenizer_config.json"));
    Files.delete(copy.resolve("generation_config.json"));
    try (DeepSeekModel base =
        DeepSeekModel.builder(copy).backend("reference").contextTokens(64).load()) {
      assertThat(base.diagnostics().promptFormat()).isEqualTo("none");
      assertThat(base.diagnostics().samplingDefaults())
          .startsWith("greedy")
          .endsWith("(no generation_config.json)");
      assertThat(base.generate(norwayTokens()).text()).isEqualTo(OSLO);
      assertThatThrownBy(() -> base.chat("hello"))
          .isInstanceOf(TextException.class)
          .hasMessageContaining("no chat template");
    }
    try (DeepSeekModel named =
        DeepSeekModel.builder(copy)
            .backend("reference")
            .contextTokens(64)
            .promptFormat("sample")
            .load()) {
      assertThat(named.chat("What is the capital of Norway?").text()).isEqualTo(OSLO);
    }
  }

  private static GenerationRequest norwayTokens() {
    return GenerationRequest.of(Prompt.tokens(Sample.expected("fp8").get(4).ids())).build();
  }

  @Test
  void optionsThatTheModelCannotHaveAreRefused() {
    assertThatThrownBy(() -> DeepSeekModel.builder(Sample.FP8).contextTokens(4097).load())
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("must be in [2, 4096]: contextTokens=4097");
    assertThatThrownBy(() -> DeepSeekModel.builder(Sample.FP8).verifyChecksums(true).load())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("checksums.sha256");
    assertThatThrownBy(() -> DeepSeekModel.builder(Sample.FP8).promptFormat("x").load())
        .isInstanceOf(TextException.class);
    assertThatThrownBy(() -> DeepSeekModel.builder(Sample.FP8).backend("x").load())
        .hasMessageContaining("known are auto, ");
  }

  @Test
  void warmingUpLeavesNothingBehindAndKeepsItsTime() {
    assertThatThrownBy(() -> DeepSeekModel.builder(Sample.FP8).warmUp(Duration.ofMillis(-1)))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("must be >= PT0S: warmUp=PT-0.001S");
    long before = System.nanoTime();
    try (DeepSeekModel warm =
        DeepSeekModel.builder(Sample.FP8).warmUp(Duration.ofMillis(300)).load()) {
      assertThat(System.nanoTime() - before).isLessThan(Duration.ofSeconds(20).toNanos());
      assertThat(warm.metrics().expertLoad())
          .isNotEmpty()
          .allSatisfy(layer -> assertThat(layer.tokens()).containsOnly(0L));
      assertThat(warm.metrics().steps()).isZero();
      assertThat(warm.metrics().kvUsage()).isZero();
      assertThat(warm.generate(norway()).text()).isEqualTo(OSLO);
    }
  }
}
