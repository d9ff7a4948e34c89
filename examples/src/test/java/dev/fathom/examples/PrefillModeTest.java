package dev.fathom.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.DeepSeekModel;
import dev.fathom.backend.PrefillMode;
import dev.fathom.cuda.CudaProvider;
import dev.fathom.error.BackendException;
import dev.fathom.examples.eval.EvalSet;
import dev.fathom.examples.eval.Scorer;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * The trained sample with prompts that oneDNN multiplies, in a JVM that also has JavaCPP and the
 * presets of CUDA, in a version of their own.
 */
class PrefillModeTest {

  private static final Path SAMPLE = Path.of("models", "sample");
  private static final EvalSet TASKS = EvalSet.read(SAMPLE.resolve("eval.json"));

  private static DeepSeekModel load(PrefillMode mode) {
    try {
      return DeepSeekModel.builder(SAMPLE).backend("cpu").prefill(mode).load();
    } catch (BackendException e) {
      String reason = e.getMessage();
      boolean isOfMachine = reason.contains("is known for") || reason.contains("lacks AVX-512");
      assumeTrue(!isOfMachine, "skipped: " + reason);
      throw e;
    }
  }

  private static double toolCalls(DeepSeekModel model) {
    return new Scorer(model)
        .exactMatch("tool", TASKS.exercises().getOrDefault("tool", List.of()))
        .value();
  }

  private static double facts(DeepSeekModel model) {
    return new Scorer(model)
        .perplexity("facts", TASKS.texts().getOrDefault("text:facts", List.of()))
        .value();
  }

  @Test
  void theSampleAnswersAndReadsAsWithOurOwnKernelsBesideTheCudaPresets()
      throws ClassNotFoundException {
    // Its probe loads JavaCPP and the presets, with or without a GPU.
    assertThat(new CudaProvider().probe().reason()).isNotBlank();
    assertThat(Class.forName("org.bytedeco.cuda.presets.cudart")).isNotNull();
    try (DeepSeekModel ours = load(PrefillMode.JAVA);
        DeepSeekModel theirs = load(PrefillMode.ONEDNN)) {
      assertThat(ours.diagnostics().backendDescription()).doesNotContain("oneDNN");
      assertThat(theirs.diagnostics().backendDescription()).contains("in bfloat16 by oneDNN");
      assertThat(toolCalls(theirs)).isEqualTo(toolCalls(ours)).isGreaterThan(0.9);
      assertThat(facts(theirs) / facts(ours)).isBetween(0.99, 1.01).isNotEqualTo(1.0);
    }
  }
}
