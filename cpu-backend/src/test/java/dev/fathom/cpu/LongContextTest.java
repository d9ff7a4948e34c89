package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.Availability;
import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.contract.Capacities;
import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.contract.TinyModel;
import dev.fathom.kvcache.KvFormat;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Contexts of short and long segments: how a sequence is cut, and how many threads there are. */
class LongContextTest {

  private static final int LEN = 1_500;
  private static final int BLOCK = 16;

  private final TinyModel model = new TinyModel();
  private final int[] tokens = new Random(5).ints(LEN, 0, TinyModel.VOCAB).toArray();

  /** Every operation on a team of so many threads. */
  record Threads(int threads) implements BackendProvider {

    @Override
    public String name() {
      return "cpu";
    }

    @Override
    public int preference() {
      return 0;
    }

    @Override
    public Availability probe() {
      return new CpuProvider().probe();
    }

    @Override
    public Backend create(int wanted) {
      return new CpuBackend(new BackendOptions(threads, 0, ActivationMode.AUTO), 0);
    }
  }

  /** Returns the logits of the last position, in steps of so many tokens, the last one alone. */
  private float[] logits(int threads, int step, KvFormat format) {
    int blocks = LEN / BLOCK + 1;
    Capacities capacities =
        new Capacities().maxTokens(LEN).blocks(BLOCK, 2 * blocks, blocks).kv(format);
    try (Rig rig = new Rig(new Threads(threads), model.program, model.weights, capacities)) {
      int[] table = rig.blocksFor(LEN);
      for (int at = 0; at < LEN - 1; at += step) {
        int end = Math.min(LEN - 1, at + step);
        rig.run(Rig.Seq.none(table, at, Arrays.copyOfRange(tokens, at, end)));
      }
      return rig.run(Rig.Seq.last(table, LEN - 1, tokens[LEN - 1])).logits();
    }
  }

  @ParameterizedTest
  @EnumSource(KvFormat.class)
  void stepsAndThreadsDoNotChangeABit(KvFormat format) {
    float[] want = logits(1, LEN, format);
    assertThat(want).doesNotContain(Float.NaN);
    assertThat(logits(2, 37, format)).isEqualTo(want);
    assertThat(logits(5, 256, format)).isEqualTo(want);
    assertThat(logits(3, 3, format)).isEqualTo(want);
  }

  @Test
  void twoSequencesInOneStepAreThoseOfTwoSteps() {
    float[] want = logits(1, LEN, KvFormat.F32);
    int blocks = LEN / BLOCK + 1;
    Capacities capacities = new Capacities().maxTokens(2 * LEN).blocks(BLOCK, 2 * blocks, blocks);
    try (Rig rig = new Rig(new Threads(2), model.program, model.weights, capacities)) {
      int[] first = rig.blocksFor(LEN);
      int[] second = Arrays.stream(first).map(b -> b + blocks).toArray();
      int[] head = Arrays.copyOf(tokens, LEN - 1);
      rig.run(Rig.Seq.none(first, 0, head), Rig.Seq.none(second, 0, head));
      float[] got =
          rig.run(
                  Rig.Seq.last(second, LEN - 1, tokens[LEN - 1]),
                  Rig.Seq.last(first, LEN - 1, tokens[LEN - 1]))
              .logits();
      assertThat(Arrays.copyOf(got, want.length)).isEqualTo(want);
      assertThat(Arrays.copyOfRange(got, want.length, got.length)).isEqualTo(want);
    }
  }
}
