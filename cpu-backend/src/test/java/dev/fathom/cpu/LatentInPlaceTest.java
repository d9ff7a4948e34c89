package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.contract.Capacities;
import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.contract.WeightFixture;
import dev.fathom.backend.reference.ReferenceProvider;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Latent attention of DeepSeek's widths, whose rows are read where they lie: if a block holds whole
 * chunks, for whole chunks, with vectors of 512 bits.
 */
class LatentInPlaceTest {

  private static final int LEN = 300;
  private static final int VOCAB = 11;
  private static final int HIDDEN = 32;
  private static final int NOPE = 8;
  private static final int ROPE = 64;
  private static final int V = 6;
  private static final int RANK = 512;

  private final WeightFixture weights = new WeightFixture(17);
  private final int[] tokens = new Random(9).ints(LEN, 0, VOCAB).toArray();

  /** One layer; 16 heads have a place of their own, of 40 the last 8 are fewer. */
  private Program program(int heads) {
    ProgramBuilder g = new ProgramBuilder("latent");
    Value h = g.embed(g.tokens(), weight("embed", 1, VOCAB, HIDDEN));
    Value q = g.linear(h, weight("q" + heads, 0.3, heads * (NOPE + ROPE), HIDDEN));
    Value a = g.linear(h, weight("kv_a", 0.3, RANK + ROPE, HIDDEN));
    KvSpec.Latent cache = new KvSpec.Latent(0, RANK, ROPE);
    g.storeKv(cache, g.slice(a, 0, RANK), g.slice(a, RANK, RANK + ROPE));
    WeightRef kvB = weight("kv_b" + heads, 0.1, heads * (NOPE + V), RANK);
    Value x = g.latentAttention(g.reshape(q, heads, NOPE + ROPE), kvB, cache, NOPE, 0.1);
    h = g.linear(g.reshape(x, heads * V), weight("o" + heads, 0.3, HIDDEN, heads * V));
    g.output(Program.LOGITS, g.logits(h, weight("head", 0.3, VOCAB, HIDDEN)));
    return g.build();
  }

  private WeightRef weight(String name, double deviation, int rows, int cols) {
    return weights.normal(name, WeightFormat.F32, deviation, rows, cols);
  }

  /** Returns the logits of all positions, in steps of so many tokens. */
  private float[] logits(
      BackendProvider provider, Program program, int block, int step, KvFormat format) {
    int blocks = LEN / block + 1;
    Capacities capacities =
        new Capacities().maxTokens(LEN).blocks(block, 2 * blocks, blocks).kv(format);
    float[] all = new float[LEN * VOCAB];
    try (Rig rig = new Rig(provider, program, weights, capacities)) {
      int[] table = rig.blocksFor(LEN);
      for (int at = 0; at < LEN; at += step) {
        int[] some = Arrays.copyOfRange(tokens, at, Math.min(LEN, at + step));
        float[] got = rig.run(Rig.Seq.all(table, at, some)).logits();
        System.arraycopy(got, 0, all, at * VOCAB, some.length * VOCAB);
      }
    }
    return all;
  }

  @ParameterizedTest
  @CsvSource({"16, 1", "16, 2", "16, 5", "40, 1", "40, 2", "64, 2"})
  void rowsInPlaceGiveTheBitsOfCopiedOnes(int heads, int threads) {
    Program program = program(heads);
    LongContextTest.Threads team = new LongContextTest.Threads(threads);
    float[] want = logits(new LongContextTest.Threads(1), program, 16, LEN, KvFormat.F32);
    for (int step : new int[] {1, 3, 37, LEN}) {
      assertThat(logits(team, program, 32, step, KvFormat.F32)).as("step %d", step).isEqualTo(want);
    }
    assertThat(logits(team, program, 128, 64, KvFormat.F32)).isEqualTo(want);
    assertThat(logits(team, program, 16, 1, KvFormat.F32)).isEqualTo(want);
  }

  @Test
  void theyAreThoseOfTheReference() {
    Program program = program(16);
    float[] want = logits(new ReferenceProvider(), program, 16, LEN, KvFormat.F32);
    float[] got = logits(new LongContextTest.Threads(2), program, 32, 1, KvFormat.F32);
    for (int i = 0; i < want.length; i++) {
      assertThat(got[i]).isCloseTo(want[i], within(2e-4f));
    }
  }

  @Test
  void otherFormatsOfTheCacheAreCopied() {
    Program program = program(16);
    LongContextTest.Threads team = new LongContextTest.Threads(2);
    float[] want = logits(team, program, 16, LEN, KvFormat.BF16);
    assertThat(logits(team, program, 32, 1, KvFormat.BF16)).isEqualTo(want);
  }
}
