package dev.fathom;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InsufficientMemoryException;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.quant.WeightFormat;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class MemoryPlanTest {

  private static final LoadOptions DEFAULTS = LoadOptions.defaults().backend("reference");

  private static MemoryPlan plan(LoadOptions options) {
    return DeepSeekModel.plan(Sample.FP8, options);
  }

  @Test
  void planCountsWeightsByFormatCacheAndBuffers() {
    MemoryPlan plan = plan(DEFAULTS);
    assertThat(plan.fits()).isTrue();
    assertThat(plan.remedies()).isEmpty();
    assertThat(plan.weightBytes().keySet())
        .containsExactly(WeightFormat.F32, WeightFormat.BF16, WeightFormat.FP8_E4M3);
    assertThat(plan.weightFiles()).isEqualTo(2);
    assertThat(plan.contextTokens()).isEqualTo(4096);
    assertThat(plan.kvCacheBytes()).isEqualTo((4L * 4096 + 32) * 6 * 80 * 4);
    assertThat(plan.totalBytes())
        .isEqualTo(
            plan.totalWeightBytes()
                + plan.kvCacheBytes()
                + plan.scratchBytes()
                + plan.loadingBytes());
    assertThat(plan.breakdown())
        .contains("weights 13.", "2 files", "KV cache 30.1 MiB (4096 tokens x 4 seq)");
  }

  @Test
  void halfTheCacheFormatIsHalfTheCache() {
    assertThat(plan(DEFAULTS.kvCache(KvFormat.BF16)).kvCacheBytes() * 2)
        .isEqualTo(plan(DEFAULTS).kvCacheBytes());
  }

  @Test
  void aModelThatDoesNotFitFailsBeforeAnyWeightIsRead() {
    List<LoadPhase> phases = new ArrayList<>();
    assertThatThrownBy(() ->
            DeepSeekModel.builder(Sample.FP8)
                .options(DEFAULTS.memoryBudget(Bytes.mib(40)))
                .onProgress(progress -> phases.add(progress.phase()))
                .load())
        .isInstanceOfSatisfying(
            InsufficientMemoryException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.MEMORY_INSUFFICIENT))
        .hasMessageContaining("This model needs 55.0 MiB, 40.0 MiB are available (memoryBudget)")
        .hasMessageContaining("KV cache 30.1 MiB (4096 tokens x 4 seq)")
        .hasMessageContaining("kvCache(BF16) -> needs ");
    assertThat(phases).containsOnly(LoadPhase.OPEN);
  }

  @Test
  void everyRemedyThatSaysItFitsFits() {
    int tried = 0;
    for (int mib : new int[] {15, 18, 20, 24, 30, 36, 40, 54}) {
      MemoryPlan plan = plan(DEFAULTS.memoryBudget(Bytes.mib(mib)));
      assertThat(plan.fits()).isFalse();
      assertThat(plan.remedies()).isNotEmpty();
      for (Remedy remedy : plan.remedies()) {
        tried += tryOut(remedy);
      }
    }
    assertThat(tried).isGreaterThan(12);
  }

  private static int tryOut(Remedy remedy) {
    LoadOptions options = remedy.options();
    if (options == null) {
      return 0;
    }
    MemoryPlan changed = plan(options);
    assertThat(changed.totalBytes()).as(remedy.toString()).isEqualTo(remedy.totalBytes());
    assertThat(changed.fits()).isEqualTo(remedy.fits());
    assertThat(remedy.toString().endsWith("(fits)")).isEqualTo(remedy.fits());
    if (!remedy.fits()) {
      return 0;
    }
    try (DeepSeekModel model = DeepSeekModel.builder(Sample.FP8).options(options).load()) {
      assertThat(model.diagnostics().memory().totalBytes()).isEqualTo(remedy.totalBytes());
    }
    return 1;
  }

  @Test
  void theContextThatIsNamedIsTheLargestThatFits() {
    MemoryPlan plan = plan(DEFAULTS.memoryBudget(Bytes.mib(36)));
    Remedy context =
        plan.remedies().stream()
            .filter(remedy -> remedy.text().startsWith("contextTokens("))
            .findFirst()
            .orElseThrow();
    assertThat(context.fits()).isTrue();
    LoadOptions options = context.options();
    assertThat(options).isNotNull();
    assertThat(plan(options.contextTokens(options.contextTokens() + 64)).fits()).isFalse();
  }

  @Test
  void withoutABudgetTheMachineIsTheLimit() {
    MemoryPlan plan = plan(DEFAULTS.maxSequences(1024).prefillChunkTokens(1024));
    assertThat(plan.available().machineBytes()).isEqualTo(plan.available().bytes());
    assertThat(plan.available().limit()).matches("machine memory|container limit .*");
  }

  @Test
  void theTextIsTwoLinesAndTheRemedies() {
    String text = plan(DEFAULTS.memoryBudget(Bytes.mib(40))).toString();
    assertThat(text.lines())
        .hasSize(3)
        .satisfiesExactly(
            first -> assertThat(first).startsWith("This model needs 55.0 MiB, 40.0 MiB"),
            second -> assertThat(second).startsWith("  weights "),
            third ->
                assertThat(third)
                    .startsWith("What you can do: ")
                    .contains(" | memoryBudget(Bytes.mib(55)) -> needs 55.0 MiB (fits)"));
  }
}
