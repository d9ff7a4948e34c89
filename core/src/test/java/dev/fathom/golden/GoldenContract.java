package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.fathom.arch.Architecture;
import dev.fathom.arch.Architectures;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.contract.Capacities;
import dev.fathom.backend.contract.ContractPromises;
import dev.fathom.backend.contract.Near;
import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestReporter;

/**
 * Models of every family with random weights: what a backend computes is what transformers computed
 * in float32.
 *
 * <p>Tolerance: logits within 2e-4 (4e-5 is usual), equal argmax where the golden's two best are
 * more than 1e-3 apart.
 */
public abstract class GoldenContract extends ContractPromises {

  private static final double MAX_DIFFERENCE = 2e-4;

  /** Of the layer's largest: V2's routing factor 16 makes residuals of 150. */
  private static final double MAX_HIDDEN_DIFFERENCE = 2e-5;

  private static final double CLEAR_GAP = 1e-3;

  private static Stream<String> names() {
    return Stream.concat(Golden.SPEC.stream(), Stream.of(Golden.TRANSFORMERS, PlainMoe.NAME));
  }

  /** What a test does with a golden. */
  private interface Check {
    void run(Golden golden);
  }

  private Stream<DynamicTest> forEachGolden(Check check) {
    return names()
        .map(name ->
            dynamicTest(
                name,
                () -> {
                  Golden golden = Golden.of(name);
                  assumeSupported(golden.model().program());
                  check.run(golden);
                }));
  }

  private void assumeSupported(Program program) {
    for (Op op : program.ops()) {
      assumeTrue(supports(op.getClass()), () -> "the backend does not have " + op.kind());
    }
  }

  /** Returns whether these tests hold the backend to a golden, or skip it. */
  final boolean verifies(Golden golden) {
    return golden.model().program().ops().stream().allMatch(op -> supports(op.getClass()));
  }

  @TestFactory
  Stream<DynamicTest> logitsAreThoseOfTransformersInEveryFormOfAttention(TestReporter reporter) {
    return forEachGolden(golden -> {
      for (LatentForm form : latentForms()) {
        float[] got = whole(golden, capacities(golden).form(form));
        double worst = checkLogits(golden, form.name(), got);
        reporter.publishEntry(golden.name(), form + " max |dlogit| " + worst);
        if (!isLatent(golden)) {
          break;
        }
      }
    });
  }

  private static boolean isLatent(Golden golden) {
    return golden.model().program().ops().stream().anyMatch(o -> o instanceof Op.LatentAttention);
  }

  @TestFactory
  Stream<DynamicTest> furtherModelsThatTransformersWroteAgreeInLogitsAndHiddenStates() {
    Path folder = TestModel.above("shared/fixtures/transformers");
    assumeTrue(folder != null, "skipped: ../shared/fixtures/transformers is absent");
    List<String> known = Architectures.all().stream().map(Architecture::modelType).toList();
    return TestModel.folders(folder).stream()
        .filter(f -> known.contains(TestModel.modelType(f)))
        .map(f -> dynamicTest(f.getFileName().toString(), () -> checkFolder(f)));
  }

  private void checkFolder(Path folder) {
    byte[] expected = TestModel.read(folder.resolve("expected.safetensors"));
    Golden golden =
        Golden.transformers(folder.getFileName().toString(), TestModel.ofFolder(folder), expected);
    assumeSupported(golden.model().program());
    float[] got = whole(golden, capacities(golden));
    checkLogits(golden, "whole", got);
    checkHiddenStates(golden);
    for (int chunk : new int[] {1, 3, 7}) {
      same(golden, "chunk=" + chunk, chunked(golden, capacities(golden), chunk), got);
    }
    checkGreedy(golden);
  }

  @Test
  void logitsOfTheMainPartOfAModelWithAPredictionLayerAreThoseOfTheOfficialCode() {
    Path folder = TestModel.above("shared/fixtures/spec-goldens/v4_mtp");
    assumeTrue(folder != null, "skipped: ../shared/fixtures/spec-goldens/v4_mtp is absent");
    Golden golden = Golden.prefixes(TestModel.ofFolder(folder), folder.resolve("golden.json"));
    assumeSupported(golden.model().program());
    float[] got = whole(golden, capacities(golden));
    checkLogits(golden, "whole", got);
    for (int chunk : new int[] {1, 3, 7}) {
      same(golden, "chunk=" + chunk, chunked(golden, capacities(golden), chunk), got);
    }
  }

  /** Asserts logits of all positions and returns the largest difference. */
  private double checkLogits(Golden golden, String what, float[] got) {
    int vocab = golden.model().program().vocabSize();
    double worst = 0;
    for (Map.Entry<Integer, float[]> entry : golden.logits().entrySet()) {
      int position = entry.getKey();
      float[] want = entry.getValue();
      for (int v = 0; v < vocab; v++) {
        double difference = Math.abs((double) got[position * vocab + v] - want[v]);
        assertThat(difference)
            .as("%s %s: logit %d of position %d", golden.name(), what, v, position)
            .isLessThanOrEqualTo(tolerance(MAX_DIFFERENCE));
        worst = Math.max(worst, difference);
      }
    }
    for (int t = 0; t < golden.argmax().length; t++) {
      float[] ours = Arrays.copyOfRange(got, t * vocab, (t + 1) * vocab);
      float[] known = golden.logits().get(t);
      if (gap(known == null ? ours : known) > CLEAR_GAP * toleranceFactor()) {
        assertThat(Golden.argmax(ours, 0, vocab))
            .as("%s %s: argmax of position %d", golden.name(), what, t)
            .isEqualTo(golden.argmax()[t]);
      }
    }
    return worst;
  }

  private static double gap(float[] logits) {
    float[] sorted = logits.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length - 1] - sorted[sorted.length - 2];
  }

  @Test
  void hiddenStatesAreThoseOfTransformersAfterEveryLayer() {
    checkHiddenStates(Golden.of(Golden.TRANSFORMERS));
    checkHiddenStates(PlainMoe.golden());
  }

  private void checkHiddenStates(Golden golden) {
    String[] outputs = new String[golden.hidden().size()];
    assertThat(outputs).isNotEmpty();
    Arrays.setAll(outputs, i -> "hidden." + i);
    try (Rig rig = rig(golden, capacities(golden).outputs(outputs))) {
      Rig.Result step = rig.run(all(rig, golden));
      for (int i = 0; i < outputs.length; i++) {
        float[] want = golden.hidden().get(i);
        float[] got = step.output(outputs[i]);
        assertThat(got.length).isEqualTo(want.length);
        checkHidden(golden.name() + " " + outputs[i], got, want);
      }
    }
  }

  private void checkHidden(String what, float[] got, float[] want) {
    float largest = 0;
    for (float value : want) {
      largest = Math.max(largest, Math.abs(value));
    }
    for (int i = 0; i < want.length; i++) {
      assertThat((double) got[i])
          .as("%s[%d]", what, i)
          .isCloseTo(want[i], offset(tolerance(MAX_HIDDEN_DIFFERENCE) * largest));
    }
  }

  @TestFactory
  Stream<DynamicTest> greedyTokensAreThoseOfTransformers() {
    return forEachGolden(this::checkGreedy);
  }

  private void checkGreedy(Golden golden) {
    assertThat(golden.greedy()).isNotEmpty();
    List<Integer> next = new ArrayList<>();
    try (Rig rig = rig(golden, capacities(golden))) {
      int len = golden.tokens().length;
      int[] blocks = rig.blocksFor(len + golden.greedy().length);
      next.add(rig.run(Seq.last(blocks, 0, golden.tokens())).sampled()[0]);
      while (next.size() < golden.greedy().length) {
        Seq step = Seq.last(blocks, len + next.size() - 1, next.getLast());
        next.add(rig.run(step).sampled()[0]);
      }
    }
    assertThat(next.stream().mapToInt(i -> i).toArray()).isEqualTo(golden.greedy());
  }

  @TestFactory
  Stream<DynamicTest> chunksAndBlocksOfAnySizeDoNotChangeALogit() {
    return forEachGolden(golden -> {
      float[] want = whole(golden, capacities(golden));
      boolean isLong = golden.tokens().length > 100;
      for (int chunk : new int[] {1, 3, 7}) {
        same(golden, "chunk=" + chunk, chunked(golden, capacities(golden), chunk), want);
      }
      for (int block : blockTokens()) {
        int pool = pool(golden, block);
        Capacities capacities = capacities(golden).blocks(block, pool, pool);
        same(golden, "block=" + block, chunked(golden, capacities, isLong ? 50 : 7), want);
      }
    });
  }

  @TestFactory
  Stream<DynamicTest> chunksDoNotChangeALogitOfExpandedAttention() {
    return forEachGolden(golden -> {
      if (latentForms().contains(LatentForm.EXPANDED) && isLatent(golden)) {
        float[] want = whole(golden, capacities(golden).form(LatentForm.EXPANDED));
        Capacities capacities = capacities(golden).form(LatentForm.EXPANDED);
        same(golden, "chunk=3", chunked(golden, capacities, 3), want);
      }
    });
  }

  private void same(Golden golden, String what, float[] got, float[] want) {
    Near.same(golden.name() + " " + what, got, want, bitIdentical(), tolerance(1e-5));
  }

  @TestFactory
  Stream<DynamicTest> twoSequencesInOneStepAreThoseOfTwoSteps() {
    return forEachGolden(golden -> {
      float[] want = whole(golden, capacities(golden));
      int[] tokens = golden.tokens();
      int half = tokens.length / 2;
      int vocab = golden.model().program().vocabSize();
      try (Rig rig = rig(golden, capacities(golden))) {
        int[] blocks = rig.blocksFor(tokens.length);
        int[] others = Arrays.stream(blocks).map(b -> 2 * blocks.length - 1 - b).toArray();
        rig.run(Seq.none(blocks, 0, Arrays.copyOf(tokens, half)));
        Seq rest = Seq.all(blocks, half, Arrays.copyOfRange(tokens, half, tokens.length));
        Seq again = Seq.all(others, 0, Arrays.copyOf(tokens, half - 1));
        float[] got = rig.run(again, rest).logits();
        int split = (half - 1) * vocab;
        same(golden, "first", Arrays.copyOf(got, split), Arrays.copyOf(want, split));
        same(
            golden,
            "second",
            Arrays.copyOfRange(got, split, got.length),
            Arrays.copyOfRange(want, half * vocab, want.length));
      }
    });
  }

  /** Room for the golden in one step and twice in the cache. */
  static Capacities capacities(Golden golden) {
    int len = golden.tokens().length + golden.greedy().length;
    int blocks = Math.max(97, 2 * len / 4);
    return new Capacities().maxTokens(Math.max(64, len)).blocks(4, blocks, blocks);
  }

  private static int pool(Golden golden, int block) {
    return 97 * (2 + golden.tokens().length / block / 97);
  }

  private Rig rig(Golden golden, Capacities capacities) {
    return new Rig(provider(), golden.model().program(), golden.model(), capacities);
  }

  private static Seq all(Rig rig, Golden golden) {
    return Seq.all(rig.blocksFor(golden.tokens().length), 0, golden.tokens());
  }

  private float[] whole(Golden golden, Capacities capacities) {
    try (Rig rig = rig(golden, capacities)) {
      return rig.run(all(rig, golden)).logits();
    }
  }

  private float[] chunked(Golden golden, Capacities capacities, int chunk) {
    int[] tokens = golden.tokens();
    int vocab = golden.model().program().vocabSize();
    float[] logits = new float[tokens.length * vocab];
    try (Rig rig = rig(golden, capacities)) {
      int[] blocks = rig.blocksFor(tokens.length);
      int pool = 97 * (1 + blocks.length / 97);
      Arrays.setAll(blocks, i -> (11 + 7 * i) % pool);
      for (int from = 0; from < tokens.length; from += chunk) {
        int to = Math.min(from + chunk, tokens.length);
        float[] got = rig.run(Seq.all(blocks, from, Arrays.copyOfRange(tokens, from, to))).logits();
        System.arraycopy(got, 0, logits, from * vocab, got.length);
      }
    }
    return logits;
  }
}
