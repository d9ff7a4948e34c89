package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.contract.Capacities;
import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.contract.WeightFixture;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.quant.WeightFormat;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Grouped-query attention, however a sequence is cut and whatever threads there are. */
class GroupedQueryTest {

  private static final int HEADS = 14;
  private static final int KV_HEADS = 2;
  private static final int DIM = 24;
  private static final int VOCAB = 31;
  private static final int LEN = 150;
  private static final int BLOCK = 16;

  private final WeightFixture weights = new WeightFixture(3);
  private final Program program = program();
  private final int[] tokens = new Random(2).ints(LEN, 0, VOCAB).toArray();

  /** A token's embedding is its query heads, keys and values. */
  private Program program() {
    int width = (HEADS + 2 * KV_HEADS) * DIM;
    ProgramBuilder g = new ProgramBuilder("grouped");
    Value x = g.embed(g.tokens(), weights.normal("embed", WeightFormat.F32, 1, VOCAB, width));
    Value keys = g.slice(x, HEADS * DIM, (HEADS + KV_HEADS) * DIM);
    KvSpec.Full cache = new KvSpec.Full(0, KV_HEADS, DIM);
    g.storeKv(cache, keys, g.slice(x, (HEADS + KV_HEADS) * DIM, width));
    Value query = g.reshape(g.slice(x, 0, HEADS * DIM), HEADS, DIM);
    Value out = g.reshape(g.attention(query, cache, 0.3), HEADS * DIM);
    g.output(
        Program.LOGITS,
        g.logits(out, weights.normal("head", WeightFormat.F32, 1, VOCAB, HEADS * DIM)));
    return g.build();
  }

  private Rig rig(int threads, KvFormat format) {
    int blocks = LEN / BLOCK + 1;
    Capacities capacities =
        new Capacities().maxTokens(LEN).blocks(BLOCK, 2 * blocks, blocks).kv(format);
    return new Rig(new LongContextTest.Threads(threads), program, weights, capacities);
  }

  private float[] logits(int threads, int step, KvFormat format) {
    try (Rig rig = rig(threads, format)) {
      int[] table = rig.blocksFor(LEN);
      for (int at = 0; at < LEN - 1; at += step) {
        int end = Math.min(LEN - 1, at + step);
        rig.run(Rig.Seq.none(table, at, Arrays.copyOfRange(tokens, at, end)));
      }
      return rig.run(Rig.Seq.last(table, LEN - 1, tokens[LEN - 1])).logits();
    }
  }

  private float[] allLogits(int threads, KvFormat format) {
    try (Rig rig = rig(threads, format)) {
      return rig.run(Rig.Seq.all(rig.blocksFor(LEN), 0, tokens)).logits();
    }
  }

  @ParameterizedTest
  @EnumSource(KvFormat.class)
  void stepsAndThreadsDoNotChangeABit(KvFormat format) {
    float[] want = allLogits(1, format);
    assertThat(want).doesNotContain(Float.NaN);
    assertThat(allLogits(2, format)).isEqualTo(want);
    assertThat(allLogits(5, format)).isEqualTo(want);
    float[] last = Arrays.copyOfRange(want, want.length - VOCAB, want.length);
    assertThat(logits(1, LEN, format)).isEqualTo(last);
    assertThat(logits(2, 37, format)).isEqualTo(last);
    assertThat(logits(5, 3, format)).isEqualTo(last);
    assertThat(logits(3, 1, format)).isEqualTo(last);
  }
}
