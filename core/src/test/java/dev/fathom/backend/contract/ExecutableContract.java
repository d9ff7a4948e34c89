package dev.fathom.backend.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.Backend;
import dev.fathom.backend.Executable;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.sampling.HostSampler;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Sampling, adapters, refusals, life and death of an executable. */
abstract class ExecutableContract extends StepContract {

  @Test
  void aTokenMayBeWhatARowOfThePreviousStepSampled() {
    int[] a = TinyModel.tokens(5, 1);
    int[] b = TinyModel.tokens(6, 2);
    try (Rig rig = rig();
        Rig plain = rig()) {
      int[] blocksA = {0, 1, 2};
      int[] blocksB = {7, 8, 9};
      Seq firstA = new Seq(blocksA, 0, a, 2, -1);
      Seq firstB = Seq.last(blocksB, 0, b);
      int[] one = rig.run(firstA, firstB).sampled();
      assertThat(plain.run(firstA, firstB).sampled()).isEqualTo(one);
      float[] got = rig.run(Seq.all(blocksB, 6, -3), Seq.all(blocksA, 5, -2, 4)).logits();
      Rig.Result want = plain.run(Seq.all(blocksB, 6, one[2]), Seq.all(blocksA, 5, one[1], 4));
      same("second step", got, want.logits());
      int[] two = want.sampled();
      float[] third = rig.run(Seq.all(blocksA, 7, -3), Seq.all(blocksB, 7, -1)).logits();
      same(
          "third step",
          third,
          plain.run(Seq.all(blocksA, 7, two[2]), Seq.all(blocksB, 7, two[0])).logits());
    }
  }

  @Test
  void aStepMayBeQueuedBeforeItsPredecessorIsRead() {
    int[] a = TinyModel.tokens(5, 1);
    int[] blocks = {0, 1, 2};
    try (Rig rig = rig();
        Rig plain = rig()) {
      int sampled = plain.run(Seq.last(blocks, 0, a)).sampled()[0];
      Rig.Result want = plain.run(Seq.last(blocks, 5, sampled));
      float[] logits = want.logits();
      Executable executable = rig.executable();
      StepBatch first = executable.newBatch();
      StepBatch second = executable.newBatch();
      SamplingRows firstRows = new SamplingRows(64);
      SamplingRows secondRows = new SamplingRows(64);
      Rig.fill(first, firstRows, executable, List.of(), Seq.last(blocks, 0, a));
      Rig.fill(second, secondRows, executable, List.of(), Seq.last(blocks, 5, -1));
      StepHandle one = executable.submit(first, firstRows, Rig.sampler());
      StepHandle two = executable.submit(second, secondRows, Rig.sampler());
      one.await();
      two.await();
      Rig.Result got = new Rig.Result(two, 1);
      same("queued", got.logits(), logits);
      assertThat(got.sampled()).isEqualTo(want.sampled());
    }
  }

  @Test
  void whatABackendSaysOfARowIsTrue() {
    int[] a = TinyModel.tokens(5, 1);
    float[] want = whole(a);
    try (Rig rig = rig()) {
      Executable executable = rig.executable();
      StepBatch batch = executable.newBatch();
      SamplingRows rows = new SamplingRows(64);
      Rig.fill(batch, rows, executable, List.of(), Seq.all(new int[] {0, 1}, 0, a));
      RowSampler sampler =
          new RowSampler() {
            @Override
            public boolean changes(SamplingRows of, int row) {
              return false;
            }

            @Override
            public void sample(
                SamplingRows of, int row, float[] logits, int off, int vocab, SampledRows out) {
              float[] copy = Arrays.copyOfRange(logits, off, off + vocab);
              same("row " + row, copy, rows(want, row, row + 1));
              out.set(row, 30 - row, 0f);
              if (of.isReduced(row)) {
                int best = 0;
                for (int i = 1; i < vocab; i++) {
                  best = copy[i] > copy[best] ? i : best;
                }
                assertThat(of.best(row)).isEqualTo(best);
                double sum = HostSampler.logSumExp(copy, 0, vocab);
                assertThat(of.logSumExp(row)).isCloseTo(sum, within(1e-11));
              }
            }
          };
      StepHandle handle = executable.submit(batch, rows, sampler);
      handle.await();
      assertThat(handle.sampled().token(4)).isEqualTo(26);
      same("logits", new Rig.Result(handle, 5).logits(), want);
    }
  }

  @Test
  void theSamplerSeesACopyOfEachRowAndCanNotDisturbTheLogits() {
    int[] a = TinyModel.tokens(5, 1);
    float[] want = whole(a);
    try (Rig rig = rig()) {
      Executable executable = rig.executable();
      StepBatch batch = executable.newBatch();
      SamplingRows rows = new SamplingRows(64);
      Rig.fill(batch, rows, executable, List.of(), Seq.all(new int[] {0, 1}, 0, a));
      List<Integer> seen = new ArrayList<>();
      RowSampler sampler =
          (r, row, logits, offset, vocab, out) -> {
            seen.add(row);
            assertThat(r).isSameAs(rows);
            assertThat(vocab).isEqualTo(TinyModel.VOCAB);
            float[] copy = Arrays.copyOfRange(logits, offset, offset + vocab);
            same("row " + row, copy, rows(want, row, row + 1));
            Arrays.fill(logits, offset, offset + vocab, Float.NaN);
            out.set(row, 30 - row, -1.5f - row);
            out.addTop(row, 30 - row, -1.5f - row);
            out.addTop(row, 7, -9);
          };
      StepHandle handle = executable.submit(batch, rows, sampler);
      handle.await();
      assertThat(seen).containsExactlyInAnyOrder(0, 1, 2, 3, 4);
      same("logits", new Rig.Result(handle, 5).logits(), want);
      for (int row = 0; row < 5; row++) {
        assertThat(handle.sampled().token(row)).isEqualTo(30 - row);
        assertThat(handle.sampled().logprob(row)).isEqualTo(-1.5f - row);
        assertThat(handle.sampled().numTop(row)).isEqualTo(2);
        assertThat(handle.sampled().topToken(row, 1)).isEqualTo(7);
        assertThat(handle.sampled().topLogprob(row, 1)).isEqualTo(-9f);
      }
    }
  }

  @Test
  void eachSequenceOfAStepHasItsOwnAdapterOrNone() {
    int[] a = TinyModel.tokens(7, 1);
    int[] b = TinyModel.tokens(4, 2);
    Adapter red = TinyModel.adapter("red", 1, 50);
    Adapter blue = TinyModel.adapter("blue", 4, 70);
    try (Rig rig = rig()) {
      assertThat(rig.executable().numAdapterSlots()).isGreaterThanOrEqualTo(2);
      rig.executable().setAdapter(0, red);
      rig.executable().setAdapter(1, blue);
      float[] got =
          rig.run(
                  Seq.all(new int[] {0, 1}, 0, a).adapter(1),
                  Seq.all(new int[] {2, 3}, 0, a),
                  Seq.all(new int[] {4, 5}, 0, a).adapter(0),
                  Seq.all(new int[] {6, 7}, 0, b).adapter(1))
              .logits();
      near("blue", rows(got, 0, 7), merged(blue, a));
      same("none", rows(got, 7, 14), whole(a));
      near("red", rows(got, 14, 21), merged(red, a));
      near("blue b", rows(got, 21, 25), merged(blue, b));
      float[] alone = rig.run(Seq.all(new int[] {9, 8}, 0, a).adapter(1)).logits();
      same("blue alone", alone, rows(got, 0, 7));
    }
  }

  @Test
  void anAdapterSlotCanBeReplacedAndCleared() {
    int[] a = TinyModel.tokens(7, 1);
    Adapter red = TinyModel.adapter("red", 2, 50);
    Adapter blue = TinyModel.adapter("blue", 3, 70);
    try (Rig rig = rig()) {
      Seq sequence = Seq.all(new int[] {0, 1}, 0, a).adapter(1);
      rig.executable().setAdapter(1, red);
      near("red", rig.run(sequence).logits(), merged(red, a));
      rig.executable().setAdapter(1, blue);
      near("blue", rig.run(sequence).logits(), merged(blue, a));
      rig.executable().setAdapter(1, null);
      same("cleared", rig.run(sequence).logits(), whole(a));
    }
  }

  @Test
  void adaptersGiveTheSameInEveryFormOfLatentAttention() {
    int[] a = TinyModel.tokens(9, 3);
    Adapter red = TinyModel.adapter("red", 3, 50);
    float[] want = merged(red, a);
    for (LatentForm form : latentForms()) {
      try (Rig rig =
          new Rig(provider(), model.program, model.weights, new Capacities().form(form))) {
        rig.executable().setAdapter(0, red);
        near(form.name(), rig.run(Seq.all(rig.blocksFor(9), 0, a).adapter(0)).logits(), want);
      }
    }
  }

  @Test
  void theNumberOfThreadsAndTheChunkDoNotChangeABitOfAnAdaptedSequence() {
    int[] a = TinyModel.tokens(20, 1);
    Adapter red = TinyModel.adapter("red", 5, 50);
    float[] want = null;
    for (int threads : new int[] {1, 2, 5}) {
      try (Rig rig = new Rig(provider(), threads, model.program, model.weights, new Capacities())) {
        rig.executable().setAdapter(3, red);
        int[] blocks = rig.blocksFor(20);
        float[] got = rig.run(Seq.all(blocks, 0, a).adapter(3)).logits();
        want = want == null ? got : want;
        same("threads=" + threads, got, want);
        rig.run(Seq.none(blocks, 0, part(a, 0, 13)).adapter(3));
        float[] rest = rig.run(Seq.all(blocks, 13, part(a, 13, 20)).adapter(3)).logits();
        same("chunk", rest, rows(want, 13, 20));
      }
    }
  }

  @Test
  void aDeltaThatFitsNoLinearAndASlotThatIsNoneAreRefused() {
    try (Rig rig = rig()) {
      Executable executable = rig.executable();
      Adapter.Delta delta = new Adapter.Delta(new float[26], new float[30], 1, 1);
      for (String name : List.of("1.gate", "embed", "0.attn.kv_norm", "nothing")) {
        assertThatThrownBy(() -> executable.setAdapter(0, new Adapter("x", Map.of(name, delta))))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("adapter: expected a linear of the program, got \"" + name + "\"");
      }
      Adapter wide = new Adapter("x", Map.of("lm_head", delta));
      assertThatThrownBy(() -> executable.setAdapter(0, wide))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("expected factors of lm_head.weight[37, 26]");
      int slots = executable.numAdapterSlots();
      String rule = " <= slot < " + slots + ": adapter slot=" + slots;
      assertThatThrownBy(() -> executable.setAdapter(slots, null))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("must be 0" + rule);
      assertThatThrownBy(() -> rig.run(Seq.last(new int[] {0}, 0, 1).adapter(slots)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("must be -1" + rule);
      rig.run(Seq.last(new int[] {0}, 0, 1));
    }
  }

  private void near(String what, float[] got, float[] want) {
    Near.ofLargest(what, got, Formulas.widen(want), tolerance(2e-5));
  }

  /** Logits of the model whose weights were changed as the adapter says. */
  private float[] merged(Adapter adapter, int[] tokens) {
    TinyModel changed = new TinyModel(adapter.deltas());
    try (Rig rig = new Rig(provider(), changed.program, changed.weights, new Capacities())) {
      return rig.run(Seq.all(rig.blocksFor(tokens.length), 0, tokens)).logits();
    }
  }

  @Test
  void aStepThatIsRefusedSaysWhyAndLeavesTheExecutableAsItWas() {
    int[] a = TinyModel.tokens(6, 1);
    int[] blocks = {3, 4};
    float[] want = whole(a);
    try (Rig rig = rig()) {
      int sampled = rig.run(Seq.last(blocks, 0, part(a, 0, 4))).sampled()[0];
      refused(
          rig,
          "must be 1 <= max(1, wanted) <= tokens: wanted=2 tokens=1",
          new Seq(blocks, 4, new int[] {1}, 2, -1));
      refused(rig, "must have a block for position 8: blocks=2 of 4", Seq.last(blocks, 8, 1));
      refused(rig, "must be 0 <= block < 40: block=40", Seq.last(new int[] {3, 40}, 4, 1));
      refused(
          rig,
          "must be a token below 37 or a row of the previous step: 37",
          Seq.last(blocks, 4, 37));
      refused(
          rig,
          "must be a token below 37 or a row of the previous step: -2",
          Seq.last(blocks, 4, -2));
      same("after", rig.run(Seq.all(blocks, 4, a[4], a[5])).logits(), rows(want, 4, 6));
      rig.run(Seq.last(blocks, 0, part(a, 0, 4)));
      float[] next = rig.run(Seq.all(blocks, 4, -1)).logits();
      int[] explicit = Arrays.copyOf(a, 5);
      explicit[4] = sampled;
      same("sampled", next, rows(whole(explicit), 4, 5));
    }
  }

  private static void refused(Rig rig, String message, Seq sequence) {
    assertThatThrownBy(() -> rig.run(sequence))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  @Test
  void aStepNeedsSamplingParametersForEachRow() {
    try (Rig rig = rig()) {
      Executable executable = rig.executable();
      StepBatch batch = executable.newBatch();
      SamplingRows rows = new SamplingRows(8);
      Rig.fill(batch, rows, executable, List.of(), Seq.all(new int[] {0}, 0, 1, 2));
      rows.clear();
      rows.addGreedy();
      assertThatThrownBy(() -> executable.submit(batch, rows, Rig.sampler()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("must equal the wanted rows 2: sampling rows=1");
    }
  }

  @Test
  void anOutputThatWasNotCompiledIsRefused() {
    try (Rig rig = rig(new Capacities().outputs("hidden.1"))) {
      Rig.Result step = rig.run(Seq.last(new int[] {0}, 0, 1));
      assertThat(step.output("hidden.1")).hasSize(TinyModel.HIDDEN);
      for (String name : List.of("hidden.2", "nothing")) {
        assertThatThrownBy(() -> step.output(name))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("output: expected one of [hidden.1], got " + name);
      }
    }
  }

  @Test
  void theSameStepGivesTheSameBitsAgain() {
    int[] a = TinyModel.tokens(20, 1);
    try (Rig rig = rig()) {
      int[] blocks = rig.blocksFor(20);
      float[] first = rig.run(Seq.all(blocks, 0, a)).logits();
      for (int i = 0; i < 20; i++) {
        same("again", rig.run(Seq.all(blocks, 0, a)).logits(), first);
      }
    }
  }

  @Test
  void theNumberOfThreadsDoesNotChangeABit() {
    int[] a = TinyModel.tokens(20, 1);
    float[] want = whole(a);
    for (int threads : new int[] {1, 2, 5}) {
      try (Rig rig = new Rig(provider(), threads, model.program, model.weights, new Capacities())) {
        float[] got = rig.run(Seq.all(rig.blocksFor(20), 0, a)).logits();
        same("threads=" + threads, got, want);
      }
    }
  }

  @Test
  void closingTwiceIsHarmlessAndAClosedExecutableRefusesSteps() {
    Rig rig = rig();
    rig.run(Seq.last(new int[] {0}, 0, 1));
    rig.close();
    rig.close();
    assertThatThrownBy(() -> rig.run(Seq.last(new int[] {0}, 0, 1)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("executable: expected an open one, got a closed one");
  }

  @Test
  void theProviderKnowsItsNameAndWhetherItCanRun() {
    assertThat(provider().name()).isNotBlank();
    assertThat(provider().probe().available()).as(provider().probe().reason()).isTrue();
    assertThat(provider().probe()).isEqualTo(provider().probe());
    try (Backend backend = provider().create(1)) {
      assertThat(backend.name()).isEqualTo(provider().name());
      assertThat(backend.description()).isNotBlank();
      for (int blockTokens : blockTokens()) {
        assertThat(backend.supportsBlockTokens(blockTokens)).isTrue();
      }
      assertThat(backend.supportsBlockTokens(0)).isFalse();
      TinyModel model = new TinyModel();
      assertThat(backend.scratchBytes(model.program, new Capacities().options())).isPositive();
    }
  }
}
