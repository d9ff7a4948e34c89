package dev.fathom.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.DeepSeekModel;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** Two models of one process, each with threads of its own, and what they cost at rest. */
class TwoModelsTest {

  private static final Path SAMPLE = Path.of("models", "sample");
  private static final String QUESTION = "What is 27 + 48?";
  private static final long REST_MILLIS = 1_000;

  private static DeepSeekModel load(int threads) {
    return DeepSeekModel.builder(SAMPLE).backend("cpu").threads(threads).load();
  }

  private static String answer(DeepSeekModel model) {
    GenerationRequest request =
        GenerationRequest.of(Prompt.text(QUESTION)).maxTokens(24).temperature(0).build();
    return model.generate(request).text();
  }

  private static List<Thread> threads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("fathom-"))
        .toList();
  }

  private static long cpuNanos(List<Thread> threads) {
    ThreadMXBean bean = ManagementFactory.getThreadMXBean();
    return threads.stream()
        .mapToLong(thread -> Math.max(0, bean.getThreadCpuTime(thread.threadId())))
        .sum();
  }

  @Test
  void answerAtOnceWhatOneAnswersAlone() throws InterruptedException, ExecutionException {
    String alone;
    try (DeepSeekModel model = load(1)) {
      alone = answer(model);
    }
    assertThat(alone).isNotBlank();
    long before = ForkJoinPool.commonPool().getStealCount();
    try (DeepSeekModel first = load(2);
        DeepSeekModel second = load(3);
        ExecutorService callers = Executors.newFixedThreadPool(4)) {
      List<Future<String>> answers = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        DeepSeekModel model = i % 2 == 0 ? first : second;
        answers.add(callers.submit(() -> answer(model)));
      }
      for (Future<String> answer : answers) {
        assertThat(answer.get()).isEqualTo(alone);
      }
      assertThat(ForkJoinPool.commonPool().getStealCount()).isEqualTo(before);
    }
  }

  @Test
  void burnNoProcessorTimeAtRest() throws InterruptedException {
    try (DeepSeekModel first = load(2);
        DeepSeekModel second = load(3)) {
      assertThat(answer(first)).isEqualTo(answer(second));
      Thread.sleep(200);
      List<Thread> threads = threads();
      // A loop and the workers of a team for each.
      assertThat(threads).hasSizeGreaterThanOrEqualTo(5);
      long nanos = cpuNanos(threads);
      Thread.sleep(REST_MILLIS);
      assertThat(cpuNanos(threads) - nanos).isLessThan(REST_MILLIS * 1_000_000 / 50);
    }
  }
}
