package dev.fathom.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.ChatMessage;
import dev.fathom.DeepSeekModel;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.backend.PrefillMode;
import dev.fathom.cuda.CudaProvider;
import dev.fathom.error.BackendException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * The trained sample with prompts that oneDNN multiplies, in a JVM that also has the CUDA presets.
 */
class PrefillModeTest {

  private static final Path SAMPLE = Path.of("models", "sample");

  /** Long enough that experts get 16 tokens and more. */
  private static final int MANY = 24;

  private static DeepSeekModel load(PrefillMode mode) {
    try {
      return DeepSeekModel.builder(SAMPLE).backend("cpu").prefill(mode).maxSequences(MANY).load();
    } catch (BackendException e) {
      String reason = e.getMessage();
      boolean isOfMachine = reason.contains("is known for") || reason.contains("lacks AVX-512");
      assumeTrue(!isOfMachine, "skipped: " + reason);
      throw e;
    }
  }

  private static Prompt question(int i) {
    return Prompt.chat(ChatMessage.user("What is " + (20 + i) + " + " + (50 - i) + "?"));
  }

  private static List<String> answers(DeepSeekModel model) {
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < MANY; i++) {
      requests.add(GenerationRequest.of(question(i)).temperature(0).maxTokens(24).build());
    }
    return requests.stream()
        .map(model::submit)
        .toList()
        .stream()
        .map(answer -> answer.join().text())
        .toList();
  }

  @Test
  void theSampleAnswersAsWithOurOwnKernelsBesideTheCudaPresets() throws ClassNotFoundException {
    // Its probe loads JavaCPP and the presets in their own version, with or without a GPU.
    assertThat(new CudaProvider().probe().reason()).isNotBlank();
    Class<?> presets = Class.forName("org.bytedeco.cuda.presets.cudart");
    assertThat(presets.getName()).isNotBlank();
    try (DeepSeekModel ours = load(PrefillMode.JAVA);
        DeepSeekModel theirs = load(PrefillMode.ONEDNN)) {
      assertThat(theirs.diagnostics().toString()).contains("bfloat16 by oneDNN");
      assertThat(ours.diagnostics().toString()).doesNotContain("oneDNN");
      assertThat(answers(theirs)).isEqualTo(answers(ours));
      assertThat(answers(theirs).get(7)).contains("70");
    }
  }

  @Test
  void perplexityIsThatOfOurOwnKernels() {
    int[] ids;
    double want;
    try (DeepSeekModel ours = load(PrefillMode.JAVA)) {
      ids =
          IntStream.range(0, MANY)
              .mapToObj(i -> ours.encode(question(i)))
              .flatMapToInt(Arrays::stream)
              .toArray();
      want = ours.perplexity(ids, 256).value();
    }
    try (DeepSeekModel theirs = load(PrefillMode.ONEDNN)) {
      assertThat(theirs.perplexity(ids, 256).value() / want)
          .isBetween(0.98, 1.02)
          .isNotEqualTo(1.0);
    }
  }
}
