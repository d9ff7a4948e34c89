package dev.fathom.backend.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.kvcache.KvFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** What a step carries: sequences, chunks, blocks, copies and rows never change a result. */
abstract class StepContract extends CompressedContract {

  private static final String[] HIDDEN = {"hidden.0", "hidden.1", "hidden.2"};

  final TinyModel model = new TinyModel();

  final Rig rig(Capacities capacities) {
    return new Rig(provider(), model.program, model.weights, capacities);
  }

  final Rig rig() {
    return rig(new Capacities());
  }

  final void same(String what, float[] got, float[] want) {
    Near.same(what, got, want, bitIdentical(), tolerance(1e-5));
  }

  /** Logits of all positions, from one step of a fresh executable. */
  final float[] whole(int... tokens) {
    try (Rig rig = rig()) {
      return rig.run(Seq.all(rig.blocksFor(tokens.length), 0, tokens)).logits();
    }
  }

  static float[] rows(float[] logits, int from, int to) {
    return Arrays.copyOfRange(logits, from * TinyModel.VOCAB, to * TinyModel.VOCAB);
  }

  static int[] part(int[] tokens, int from, int to) {
    return Arrays.copyOfRange(tokens, from, to);
  }

  @Test
  void theLogitsOfTwoPositionsDiffer() {
    float[] logits = whole(TinyModel.tokens(9, 1));
    assertThat(logits).doesNotContain(Float.NaN);
    assertThat(rows(logits, 3, 4)).isNotEqualTo(rows(logits, 4, 5));
    int[] other = TinyModel.tokens(9, 1);
    other[0]++;
    assertThat(rows(whole(other), 8, 9)).isNotEqualTo(rows(logits, 8, 9));
  }

  @Test
  void sequencesOfMixedLengthsAndPositionsInOneStepEqualEachAlone() {
    int[] a = TinyModel.tokens(21, 1);
    int[] b = TinyModel.tokens(10, 2);
    int[] c = TinyModel.tokens(13, 3);
    int[] d = TinyModel.tokens(2, 4);
    try (Rig rig = rig()) {
      int[] blocksA = {30, 2, 17, 5, 6, 39};
      int[] blocksB = {0, 8, 4};
      int[] blocksC = {9, 10, 11, 12};
      rig.run(Seq.none(blocksA, 0, part(a, 0, 18)), Seq.none(blocksB, 0, part(b, 0, 9)));
      float[] got =
          rig.run(
                  Seq.all(blocksB, 9, b[9]),
                  Seq.all(blocksC, 0, c),
                  Seq.all(blocksA, 18, part(a, 18, 21)),
                  Seq.all(new int[] {20}, 0, d))
              .logits();
      same("b", rows(got, 0, 1), rows(whole(b), 9, 10));
      same("c", rows(got, 1, 14), whole(c));
      same("a", rows(got, 14, 17), rows(whole(a), 18, 21));
      same("d", rows(got, 17, 19), whole(d));
    }
  }

  @TestFactory
  Stream<DynamicTest> chunksOfAnySizeGiveTheLogitsOfTheWhole() {
    int[] tokens = TinyModel.tokens(23, 5);
    float[] want = whole(tokens);
    return Stream.of(1, 3, 7, 22)
        .map(chunk ->
            dynamicTest(
                "chunk=" + chunk, () -> same("logits", chunked(rig(), tokens, chunk), want)));
  }

  @TestFactory
  Stream<DynamicTest> blocksOfAnySizeAndOrderGiveTheSameLogits() {
    int[] tokens = TinyModel.tokens(23, 5);
    float[] want = whole(tokens);
    return blockTokens().stream()
        .map(size ->
            dynamicTest(
                "blockTokens=" + size,
                () -> {
                  Capacities capacities = new Capacities().blocks(size, 50, 30);
                  same("logits", chunked(rig(capacities), tokens, 7), want);
                }));
  }

  /** Logits of all positions, computed in chunks with block ids scattered over the pool. */
  private float[] chunked(Rig rig, int[] tokens, int chunk) {
    float[] logits = new float[tokens.length * TinyModel.VOCAB];
    try (rig) {
      int[] blocks = rig.blocksFor(tokens.length);
      Arrays.setAll(blocks, i -> (17 + 13 * i) % 37);
      for (int from = 0; from < tokens.length; from += chunk) {
        int to = Math.min(from + chunk, tokens.length);
        float[] got = rig.run(Seq.all(blocks, from, part(tokens, from, to))).logits();
        System.arraycopy(got, 0, logits, from * TinyModel.VOCAB, got.length);
      }
    }
    return logits;
  }

  @Test
  void sequencesMayShareTheBlocksOfTheirPrefix() {
    int[] a = TinyModel.tokens(11, 1);
    int[] b = TinyModel.tokens(11, 1);
    b[9] = (b[9] + 1) % TinyModel.VOCAB;
    try (Rig rig = rig()) {
      rig.run(Seq.none(new int[] {4, 9}, 0, part(a, 0, 8)));
      float[] got =
          rig.run(
                  Seq.all(new int[] {4, 9, 1}, 8, part(a, 8, 11)),
                  Seq.all(new int[] {4, 9, 2}, 8, part(b, 8, 11)))
              .logits();
      same("a", rows(got, 0, 3), rows(whole(a), 8, 11));
      same("b", rows(got, 3, 6), rows(whole(b), 8, 11));
    }
  }

  @Test
  void blockCopiesRunBeforeTheStepAndInTheirOrder() {
    int[] a = TinyModel.tokens(8, 1);
    int[] b = TinyModel.tokens(8, 1);
    b[6] = (b[6] + 1) % TinyModel.VOCAB;
    try (Rig rig = rig()) {
      rig.run(Seq.none(new int[] {0, 1}, 0, part(a, 0, 6)));
      float[] got =
          rig.run(
                  List.of(new int[] {1, 5}, new int[] {5, 6}),
                  Seq.all(new int[] {0, 1}, 6, part(a, 6, 8)),
                  Seq.all(new int[] {0, 6}, 6, part(b, 6, 8)))
              .logits();
      same("a", rows(got, 0, 2), rows(whole(a), 6, 8));
      same("b", rows(got, 2, 4), rows(whole(b), 6, 8));
      float[] again = rig.run(Seq.all(new int[] {0, 5}, 6, part(a, 6, 8))).logits();
      same("a from its copy", again, rows(whole(a), 6, 8));
    }
  }

  @Test
  void aCopyOutOfABlockComesBeforeACopyIntoIt() {
    int[] a = TinyModel.tokens(8, 1);
    int[] b = TinyModel.tokens(8, 2);
    try (Rig rig = rig()) {
      rig.run(
          Seq.none(new int[] {0, 1}, 0, part(a, 0, 6)),
          Seq.none(new int[] {2, 5}, 0, part(b, 0, 6)));
      float[] got =
          rig.run(
                  List.of(new int[] {5, 6}, new int[] {1, 5}),
                  Seq.all(new int[] {2, 6}, 6, part(b, 6, 8)),
                  Seq.all(new int[] {0, 5}, 6, part(a, 6, 8)))
              .logits();
      same("b", rows(got, 0, 2), rows(whole(b), 6, 8));
      same("a", rows(got, 2, 4), rows(whole(a), 6, 8));
    }
  }

  @Test
  void aSequenceMayWantNoRowOneOrTheLastFew() {
    int[] a = TinyModel.tokens(7, 1);
    int[] b = TinyModel.tokens(9, 2);
    int[] c = TinyModel.tokens(5, 3);
    try (Rig rig = rig()) {
      Seq verify = new Seq(new int[] {3, 4, 5}, 0, b, 4, -1);
      Rig.Result step =
          rig.run(Seq.none(new int[] {0, 1}, 0, a), verify, Seq.last(new int[] {6, 7}, 0, c));
      float[] got = step.logits();
      same("b", rows(got, 0, 4), rows(whole(b), 5, 9));
      same("c", rows(got, 4, 5), rows(whole(c), 4, 5));
      assertThat(step.sampled()).hasSize(5);
      assertThat(got).hasSize(5 * TinyModel.VOCAB);
    }
  }

  @Test
  void aStepWithoutAnyRowStillStoresItsTokens() {
    int[] a = TinyModel.tokens(7, 1);
    try (Rig rig = rig()) {
      int[] blocks = {3, 4};
      assertThat(rig.run(Seq.none(blocks, 0, part(a, 0, 5))).logits()).isEmpty();
      same("a", rig.run(Seq.all(blocks, 5, a[5], a[6])).logits(), rows(whole(a), 5, 7));
    }
  }

  @Test
  void rejectedDraftsAreOverwrittenByTheNextStep() {
    int[] a = TinyModel.tokens(12, 1);
    try (Rig rig = rig()) {
      int[] blocks = {3, 4, 8};
      rig.run(Seq.none(blocks, 0, part(a, 0, 6)));
      rig.run(Seq.all(blocks, 6, a[6], 1, 2, 3, 4));
      float[] got = rig.run(Seq.all(blocks, 7, part(a, 7, 12))).logits();
      same("a", got, rows(whole(a), 7, 12));
    }
  }

  @Test
  void namedOutputsAreWhatTheProgramNames() {
    int[] a = TinyModel.tokens(6, 1);
    try (Rig rig = rig(new Capacities().outputs(HIDDEN));
        Rig plain = rig()) {
      Rig.Result step = rig.run(Seq.last(new int[] {0, 1}, 0, a));
      double[] embedded = model.weights.values(model.program.weights().getFirst());
      float[] first = step.output("hidden.0");
      assertThat(first).hasSize(6 * TinyModel.HIDDEN);
      for (int t = 0; t < 6; t++) {
        for (int i = 0; i < TinyModel.HIDDEN; i++) {
          float want = (float) embedded[a[t] * TinyModel.HIDDEN + i];
          assertThat(first[t * TinyModel.HIDDEN + i]).isEqualTo(want);
        }
      }
      checkHead(step);
      float[] logits = plain.run(Seq.last(new int[] {0, 1}, 0, a)).logits();
      same("logits without named outputs", logits, step.logits());
    }
  }

  /** hidden.2 times the head are the logits. */
  private void checkHead(Rig.Result step) {
    float[] last = step.output("hidden.2");
    double[] x = Formulas.widen(Arrays.copyOfRange(last, 5 * TinyModel.HIDDEN, last.length));
    double[] head = model.weights.values(model.program.weights().getLast());
    Formulas.Sums want = Formulas.linear(x, head, TinyModel.HIDDEN, new double[0]);
    Near.elementwise("head", step.logits(), want.value(), want.magnitude(), tolerance(2e-6));
  }

  @Test
  void namedOutputsHaveARowForEachTokenOfTheStepInItsOrder() {
    int[] a = TinyModel.tokens(7, 1);
    int[] b = TinyModel.tokens(3, 2);
    try (Rig rig = rig(new Capacities().outputs(HIDDEN))) {
      float[] alone = rig.run(Seq.none(new int[] {0, 1}, 0, a)).output("hidden.2");
      float[] both =
          rig.run(Seq.last(new int[] {5}, 0, b), Seq.none(new int[] {3, 2}, 0, a))
              .output("hidden.2");
      float[] tail = Arrays.copyOfRange(both, 3 * TinyModel.HIDDEN, both.length);
      same("hidden.2", tail, alone);
    }
  }

  @Test
  void blocksThatWereExportedAndImportedElsewhereContinueTheSequence() {
    int[] a = TinyModel.tokens(9, 1);
    try (Rig from = rig();
        Rig to = rig();
        Arena arena = Arena.ofConfined()) {
      from.run(Seq.none(new int[] {7, 2}, 0, part(a, 0, 6)));
      int[] source = {7, 2};
      int[] target = {11, 30};
      for (int group = 0; group < from.executable().numKvGroups(); group++) {
        for (int i = 0; i < 2; i++) {
          MemorySegment bytes = arena.allocate(from.executable().blockBytes(group) + 16, 8);
          from.executable().exportBlock(group, source[i], bytes);
          to.executable().importBlock(group, target[i], bytes);
        }
      }
      float[] got = to.run(Seq.all(new int[] {11, 30, 1}, 6, part(a, 6, 9))).logits();
      same("a", got, rows(whole(a), 6, 9));
    }
  }

  @Test
  void aCacheInAnotherFormatChangesLogitsALittleAndDependsOnNothingElse() {
    for (KvFormat format : kvFormats()) {
      if (format != KvFormat.F32) {
        checkCacheIn(format);
      }
    }
  }

  private void checkCacheIn(KvFormat format) {
    int[] tokens = TinyModel.tokens(23, 5);
    float[] exact = whole(tokens);
    float[] rounded = chunked(rig(new Capacities().kv(format)), tokens, 23);
    same("chunks", chunked(rig(new Capacities().kv(format)), tokens, 3), rounded);
    assertThat(rounded).isNotEqualTo(exact);
    double most = format == KvFormat.BF16 ? 0.05 : format == KvFormat.FP8_E4M3 ? 0.2 : 0.4;
    Near.ofLargest(format.name(), rounded, Formulas.widen(exact), most);
  }
}
