package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.backend.contract.Capacities;
import dev.fathom.backend.contract.ContractPromises;
import dev.fathom.backend.contract.Near;
import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;

/**
 * The trained sample model: a backend gives the log-probabilities and tokens that transformers gave
 * in float32 on the same (for FP8: dequantized) weights.
 */
public abstract class SampleContract extends ContractPromises {

  private static final double MAX_DIFFERENCE = 2e-3;
  private static final int NUM_GREEDY = 12;
  private static final int END = 1;
  private static final int BLOCK = 16;
  private static final int BLOCKS_EACH = 8;

  /** A checkpoint and what transformers said about it, for each prompt. */
  private record Sample(
      TestModel model, TestTensors logits, List<int[]> prompts, List<int[]> greedy) {

    static Sample of(Path folder, byte[] expectedLogits, byte[] expected, String variant) {
      TestTensors logits = new TestTensors();
      logits.add(expectedLogits);
      JsonObject all = (JsonObject) Json.parse(expected, JsonLimits.DEFAULT);
      JsonObject ours = (JsonObject) all.fields().get(variant);
      List<int[]> prompts = new ArrayList<>();
      List<int[]> greedy = new ArrayList<>();
      for (var prompt : (JsonArray) ours.fields().get("prompts")) {
        prompts.add(Golden.ints(((JsonObject) prompt).get("input_ids")));
        greedy.add(Golden.ints(((JsonObject) prompt).get("greedy")));
      }
      return new Sample(TestModel.ofFolder(folder), logits, prompts, greedy);
    }

    static Sample fp8() {
      Path folder = TestModel.above("examples/models/sample");
      assertThat(folder).as("examples/models/sample").isNotNull();
      return of(
          folder,
          TestModel.resource("expected-fp8.safetensors"),
          TestModel.resource("expected.json"),
          "fp8");
    }

    static Sample bf16() {
      Path folder = TestModel.above("shared/models/sample");
      assumeTrue(
          folder != null, "skipped: ../shared/models/sample with the bf16 weights is absent");
      return of(
          folder.resolve("bf16"),
          TestModel.read(folder.resolve("expected-bf16.safetensors")),
          TestModel.resource("expected.json"),
          "bf16");
    }

    Seq sequence(int i, int position, int wanted, int... tokens) {
      int[] blocks = new int[BLOCKS_EACH];
      Arrays.setAll(blocks, b -> b * prompts.size() + i);
      return new Seq(blocks, position, tokens, wanted, -1);
    }
  }

  @Test
  void logProbabilitiesOfFp8WeightsAreThoseOfTransformers(TestReporter reporter) {
    check(Sample.fp8(), reporter);
  }

  @Test
  void logProbabilitiesOfBf16WeightsAreThoseOfTransformers(TestReporter reporter) {
    check(Sample.bf16(), reporter);
  }

  /** All prompts in one step, all rows wanted. */
  private void check(Sample sample, TestReporter reporter) {
    int vocab = sample.model().program().vocabSize();
    double worst = 0;
    try (Rig rig = rig(sample)) {
      Seq[] step = new Seq[sample.prompts().size()];
      Arrays.setAll(
          step,
          i -> sample.sequence(i, 0, sample.prompts().get(i).length, sample.prompts().get(i)));
      float[] got = rig.run(step).logits();
      int row = 0;
      for (int i = 0; i < step.length; i++) {
        float[] want = sample.logits().get("prompt" + i + ".logits").floats();
        for (int t = 0; t < sample.prompts().get(i).length; t++) {
          worst = Math.max(worst, difference(got, row * vocab, want, t * vocab, vocab));
          row++;
        }
      }
    }
    reporter.publishEntry("max |dlogprob|", String.valueOf(worst));
    assertThat(worst).isLessThanOrEqualTo(MAX_DIFFERENCE * toleranceFactor());
  }

  private static double difference(float[] got, int gotOff, float[] want, int wantOff, int vocab) {
    double ours = logSumExp(got, gotOff, vocab);
    double theirs = logSumExp(want, wantOff, vocab);
    double worst = 0;
    for (int v = 0; v < vocab; v++) {
      double difference = (got[gotOff + v] - ours) - (want[wantOff + v] - theirs);
      worst = Math.max(worst, Double.isNaN(difference) ? Double.MAX_VALUE : Math.abs(difference));
    }
    return worst;
  }

  private static double logSumExp(float[] logits, int off, int len) {
    double max = logits[off + Golden.argmax(logits, off, len)];
    double sum = 0;
    for (int i = 0; i < len; i++) {
      sum += Math.exp(logits[off + i] - max);
    }
    return max + Math.log(sum);
  }

  @Test
  void greedyTokensOfAllPromptsInOneBatchAreThoseOfTransformers() {
    Sample sample = Sample.fp8();
    int n = sample.prompts().size();
    try (Rig rig = rig(sample)) {
      Seq[] step = new Seq[n];
      Arrays.setAll(step, i -> sample.sequence(i, 0, 1, sample.prompts().get(i)));
      int[][] got = new int[n][NUM_GREEDY];
      for (int k = 0; k < NUM_GREEDY; k++) {
        int[] sampled = rig.run(step).sampled();
        for (int i = 0; i < n; i++) {
          got[i][k] = sampled[i];
          step[i] = sample.sequence(i, sample.prompts().get(i).length + k, 1, sampled[i]);
        }
      }
      for (int i = 0; i < n; i++) {
        int len = untilEnd(sample.greedy().get(i));
        assertThat(Arrays.copyOf(got[i], len))
            .as("prompt %d", i)
            .isEqualTo(Arrays.copyOf(sample.greedy().get(i), len));
      }
    }
  }

  /** Tokens up to the end of the sentence, which is followed by padding; NUM_GREEDY at most. */
  private static int untilEnd(int[] tokens) {
    for (int k = 0; k < NUM_GREEDY; k++) {
      if (tokens[k] == END) {
        return k + 1;
      }
    }
    return NUM_GREEDY;
  }

  @Test
  void chunksDoNotChangeALogitOfTheSampleModel() {
    Sample sample = Sample.fp8();
    int[] prompt = sample.prompts().get(0);
    int vocab = sample.model().program().vocabSize();
    try (Rig rig = rig(sample)) {
      float[] want = rig.run(sample.sequence(0, 0, prompt.length, prompt)).logits();
      rig.run(sample.sequence(1, 0, 0, Arrays.copyOf(prompt, 7)));
      int[] rest = Arrays.copyOfRange(prompt, 7, prompt.length);
      float[] got = rig.run(sample.sequence(1, 7, rest.length, rest)).logits();
      float[] tail = Arrays.copyOfRange(want, 7 * vocab, want.length);
      Near.same("chunk", got, tail, bitIdentical(), tolerance(1e-5));
    }
  }

  private Rig rig(Sample sample) {
    Capacities capacities =
        new Capacities().maxTokens(128).blocks(BLOCK, BLOCKS_EACH * 6, BLOCKS_EACH);
    return new Rig(provider(), sample.model().program(), sample.model(), capacities);
  }
}
