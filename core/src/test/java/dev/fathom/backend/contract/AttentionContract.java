package dev.fathom.backend.contract;

import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.fathom.backend.LatentForm;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.Fp8E4m3;
import dev.fathom.quant.Fp8E5m2;
import dev.fathom.quant.WeightFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Latent attention through a paged cache, against the expanded formula of the paper in float64. A
 * token's embedding is its query heads, its latent and its key, one after the other.
 */
abstract class AttentionContract extends ExpertContract {

  private static final int NUM_TOKENS = 30;

  /** Sizes in the order heads, nope, rope, v, rank; the last are those of the sample model. */
  private static final List<Formulas.MlaSizes> SIZES =
      List.of(
          new Formulas.MlaSizes(1, 1, 2, 1, 1, 0.5),
          new Formulas.MlaSizes(3, 8, 4, 12, 13, 0.3),
          new Formulas.MlaSizes(4, 13, 6, 5, 25, 0.2),
          new Formulas.MlaSizes(2, 32, 16, 32, 64, 0.15),
          new Formulas.MlaSizes(70, 3, 2, 4, 9, 0.3));

  /** One latent attention with its weights and inputs. */
  private final class Mla {
    final Formulas.MlaSizes m;
    final WeightFixture weights = new WeightFixture(5);
    final double[] embedded;
    final WeightRef kvB;
    final float[] frequencies;
    final Program program;

    Mla(Formulas.MlaSizes m, WeightFormat format, boolean turned, double deviation) {
      this.m = m;
      float[] table = OpCase.normal(NUM_TOKENS * width(), deviation, 3);
      this.embedded = Formulas.widen(table);
      WeightRef tableRef = weights.exact("table", table, NUM_TOKENS, width());
      this.kvB =
          weights.normal("kv_b.weight", format, 0.4, m.heads() * (m.nope() + m.v()), m.rank());
      this.frequencies = new float[m.rope() / 2];
      for (int i = 0; i < frequencies.length; i++) {
        frequencies[i] = (float) Math.pow(100, -2.0 * i / m.rope());
      }
      ProgramBuilder g = new ProgramBuilder("mla");
      Value x = g.embed(g.tokens(), tableRef);
      Value query = g.reshape(g.slice(x, 0, latentAt()), m.heads(), m.nope() + m.rope());
      Value latent = g.slice(x, latentAt(), latentAt() + m.rank());
      Value key = g.slice(x, latentAt() + m.rank(), width());
      if (turned) {
        RopeSpec rope = new RopeSpec(frequencies, 1, RopeLayout.INTERLEAVED);
        query = g.rope(query, rope, m.nope());
        key = g.rope(key, rope, 0);
      } else {
        Arrays.fill(frequencies, 0);
      }
      KvSpec.Latent cache = new KvSpec.Latent(0, m.rank(), m.rope());
      g.storeKv(cache, latent, key);
      g.output(OpCase.OUT, g.latentAttention(query, kvB, cache, m.nope(), m.scale()));
      WeightRef head = weights.exact("head", new float[NUM_TOKENS * width()], NUM_TOKENS, width());
      g.output(Program.LOGITS, g.logits(x, head));
      this.program = g.build();
    }

    int latentAt() {
      return m.heads() * (m.nope() + m.rope());
    }

    int width() {
      return latentAt() + m.rank() + m.rope();
    }

    /** What the paper says about a sequence of tokens, for its positions from..len. */
    double[] expected(int[] tokens, int from, KvFormat format) {
      int n = tokens.length;
      double[] latents = new double[n * m.rank()];
      double[] keys = new double[n * m.rope()];
      double[] out = new double[(n - from) * m.heads() * m.v()];
      for (int t = 0; t < n; t++) {
        double[] x = Arrays.copyOfRange(embedded, tokens[t] * width(), (tokens[t] + 1) * width());
        double[] key = Arrays.copyOfRange(x, latentAt() + m.rank(), width());
        Formulas.rope(key, 0, frequencies, 1, RopeLayout.INTERLEAVED, t);
        System.arraycopy(x, latentAt(), latents, t * m.rank(), m.rank());
        System.arraycopy(key, 0, keys, t * m.rope(), m.rope());
        store(latents, t * m.rank(), m.rank(), format);
        store(keys, t * m.rope(), m.rope(), format);
        for (int h = 0; h < m.heads(); h++) {
          int at = h * (m.nope() + m.rope()) + m.nope();
          Formulas.rope(x, at, frequencies, 1, RopeLayout.INTERLEAVED, t);
        }
        if (t >= from) {
          double[] seen = Arrays.copyOf(latents, (t + 1) * m.rank());
          double[] head = Formulas.mla(m, x, seen, keys, weights.values(kvB));
          System.arraycopy(head, 0, out, (t - from) * head.length, head.length);
        }
      }
      return out;
    }

    private void store(double[] values, int off, int len, KvFormat format) {
      if (format.isByte()) {
        boolean isKey = len == m.rope() && len != m.rank();
        roundToBytes(values, off, len, format, isKey);
      }
      if (format == KvFormat.BF16) {
        for (int i = off; i < off + len; i++) {
          values[i] = WeightFixture.bf16Value(WeightFixture.bf16Bits((float) values[i]));
        }
      }
    }

    /** Latents in groups of 128 by their largest value; keys in bf16 beside e4m3. */
    private void roundToBytes(double[] values, int off, int len, KvFormat format, boolean isKey) {
      for (int g = off; g < off + len; g += 128) {
        int end = Math.min(off + len, g + 128);
        double largest = 0;
        for (int i = g; i < end; i++) {
          largest = Math.max(largest, Math.abs(values[i]));
        }
        float scale = (float) largest / Fp8E4m3.MAX;
        for (int i = g; i < end; i++) {
          float value = (float) values[i];
          if (format == KvFormat.FP8_E5M2) {
            values[i] = Fp8E5m2.decode(Fp8E5m2.encode(value));
          } else if (isKey) {
            values[i] = WeightFixture.bf16Value(WeightFixture.bf16Bits(value));
          } else {
            values[i] = scale * Fp8E4m3.decode(Fp8E4m3.encode(value / scale));
          }
        }
      }
    }

    Rig rig(Capacities capacities) {
      return new Rig(provider(), program, weights, capacities.outputs(OpCase.OUT));
    }
  }

  private static int[] tokens(int len, int seed) {
    int[] ids = new int[len];
    Arrays.setAll(ids, i -> (seed + 7 * i) % NUM_TOKENS);
    return ids;
  }

  private Stream<DynamicTest> forEachForm(Consumer<LatentForm> check) {
    return latentForms().stream().map(f -> dynamicTest(f.name(), () -> check.accept(f)));
  }

  @TestFactory
  Stream<DynamicTest> latentAttentionAgreesWithThePaperInEveryFormAndSize() {
    return forEachForm(form -> {
      for (Formulas.MlaSizes sizes : SIZES) {
        Mla mla = new Mla(sizes, WeightFormat.BF16, true, 1);
        int[] tokens = tokens(25, 1);
        try (Rig rig = mla.rig(new Capacities().form(form))) {
          float[] got = rig.run(Rig.Seq.last(rig.blocksFor(25), 0, tokens)).output(OpCase.OUT);
          double[] want = mla.expected(tokens, 0, KvFormat.F32);
          Near.ofLargest(form + " " + sizes, got, want, tolerance(1e-5));
        }
      }
    });
  }

  @TestFactory
  Stream<DynamicTest> latentAttentionReadsKvbInEveryWeightFormat() {
    return forEachForm(form -> {
      for (WeightFormat format : weightFormats()) {
        Mla mla = new Mla(SIZES.get(2), format, true, 1);
        int[] tokens = tokens(9, 4);
        try (Rig rig = mla.rig(new Capacities().form(form))) {
          float[] got = rig.run(Rig.Seq.last(rig.blocksFor(9), 0, tokens)).output(OpCase.OUT);
          double[] want = mla.expected(tokens, 0, KvFormat.F32);
          Near.ofLargest(form + " " + format, got, want, tolerance(1e-5));
        }
      }
    });
  }

  @TestFactory
  Stream<DynamicTest> laterStepsReadWhatEarlierOnesStored() {
    return Stream.of(SIZES.get(1), SIZES.getLast())
        .flatMap(sizes -> forEachForm(form -> laterSteps(form, sizes)));
  }

  private void laterSteps(LatentForm form, Formulas.MlaSizes sizes) {
    Mla mla = new Mla(sizes, WeightFormat.F32, true, 1);
    int[] tokens = tokens(23, 2);
    double[] want = mla.expected(tokens, 0, KvFormat.F32);
    int width = mla.m.heads() * mla.m.v();
    try (Rig rig = mla.rig(new Capacities().form(form))) {
      int[] blocks = {7, 3, 11, 0, 5, 39};
      for (int[] chunk : new int[][] {{0, 6}, {6, 7}, {7, 20}, {20, 21}, {21, 23}}) {
        int[] part = Arrays.copyOfRange(tokens, chunk[0], chunk[1]);
        float[] got = rig.run(Rig.Seq.last(blocks, chunk[0], part)).output(OpCase.OUT);
        double[] rows = Arrays.copyOfRange(want, chunk[0] * width, chunk[1] * width);
        Near.ofLargest(form + " from " + chunk[0], got, rows, tolerance(1e-5));
      }
    }
  }

  @TestFactory
  Stream<DynamicTest> latentAttentionOverHundredsOfKeysAgreesWithThePaper() {
    return forEachForm(form -> {
      Mla mla = new Mla(SIZES.get(1), WeightFormat.F32, true, 1);
      int[] tokens = tokens(703, 6);
      Capacities capacities = new Capacities().form(form).blocks(64, 20, 11).maxTokens(702);
      try (Rig rig = mla.rig(capacities)) {
        rig.run(Rig.Seq.none(rig.blocksFor(702), 0, Arrays.copyOf(tokens, 702)));
        Rig.Seq next = Rig.Seq.last(rig.blocksFor(703), 702, tokens[702]);
        float[] got = rig.run(next).output(OpCase.OUT);
        double[] want = mla.expected(tokens, 702, KvFormat.F32);
        Near.ofLargest(form + " 703 keys", got, want, tolerance(1e-5));
      }
    });
  }

  @TestFactory
  Stream<DynamicTest> aCacheInAnotherFormatHoldsTheRoundedLatentsAndKeys() {
    return kvFormats().stream()
        .filter(format -> format != KvFormat.F32)
        .flatMap(format -> latentForms().stream().map(form -> roundedCache(format, form)));
  }

  private DynamicTest roundedCache(KvFormat format, LatentForm form) {
    return dynamicTest(
        format + " " + form,
        () -> {
          Mla mla = new Mla(SIZES.get(1), WeightFormat.F32, false, 1);
          int[] tokens = tokens(11, 3);
          Capacities capacities = new Capacities().form(form).kv(format);
          try (Rig rig = mla.rig(capacities)) {
            Rig.Seq all = Rig.Seq.last(rig.blocksFor(11), 0, tokens);
            float[] got = rig.run(all).output(OpCase.OUT);
            double[] want = mla.expected(tokens, 0, format);
            Near.ofLargest(format + " cache", got, want, tolerance(roundingNoise(format)));
          }
        });
  }

  /** Float32 and double may round an element that lies between two codes to either. */
  private static double roundingNoise(KvFormat format) {
    return format.isByte() ? 0.02 : 1e-5;
  }

  @TestFactory
  Stream<DynamicTest> hugeScoresNeitherOverflowNorLoseTheirLargestKey() {
    return forEachForm(form -> {
      Mla mla = new Mla(SIZES.get(1), WeightFormat.F32, true, 300);
      int[] tokens = tokens(13, 5);
      try (Rig rig = mla.rig(new Capacities().form(form))) {
        float[] got = rig.run(Rig.Seq.last(rig.blocksFor(13), 0, tokens)).output(OpCase.OUT);
        double[] want = mla.expected(tokens, 0, KvFormat.F32);
        Near.ofLargest("huge", got, want, tolerance(1e-4));
      }
    });
  }

  /** Blocks are given out again without being cleared: what an earlier owner left is never read. */
  @TestFactory
  Stream<DynamicTest> whatLiesBehindTheLastTokenOfABlockIsNeverRead() {
    return forEachForm(form -> {
      Mla mla = new Mla(SIZES.get(1), WeightFormat.F32, true, 1);
      int[] tokens = tokens(6, 8);
      try (Rig rig = mla.rig(new Capacities().form(form));
          Arena arena = Arena.ofConfined()) {
        long bytes = rig.executable().blockBytes(0);
        MemorySegment nan = arena.allocate(bytes, 8);
        nan.fill((byte) 0xff);
        for (int block = 0; block < 40; block++) {
          rig.executable().importBlock(0, block, nan);
        }
        int[] blocks = {9, 2, 4};
        float[] got = rig.run(Rig.Seq.last(blocks, 0, tokens)).output(OpCase.OUT);
        double[] want = mla.expected(tokens, 0, KvFormat.F32);
        Near.ofLargest("poisoned cache", got, want, tolerance(1e-5));
        MemorySegment after = arena.allocate(bytes, 8);
        rig.executable().exportBlock(0, 7, after);
        if (after.mismatch(nan) != -1) {
          throw new AssertionError("a block of nobody was written");
        }
      }
    });
  }

  @TestFactory
  Stream<DynamicTest> aNanInOneSequenceLeavesItsBatchMatesAlone() {
    return forEachForm(form -> {
      Mla mla = new Mla(SIZES.get(1), WeightFormat.F32, true, 1);
      int[] tokens = tokens(7, 8);
      try (Rig rig = mla.rig(new Capacities().form(form));
          Arena arena = Arena.ofConfined()) {
        MemorySegment nan = arena.allocate(rig.executable().blockBytes(0), 8);
        for (long at = 0; at < nan.byteSize(); at += 4) {
          nan.set(ValueLayout.JAVA_FLOAT, at, Float.NaN);
        }
        rig.executable().importBlock(0, 20, nan);
        Rig.Seq sick = Rig.Seq.last(new int[] {20, 21}, 4, 1);
        Rig.Seq well = Rig.Seq.last(new int[] {3, 1}, 0, tokens);
        float[] got = rig.run(sick, well).output(OpCase.OUT);
        int width = mla.m.heads() * mla.m.v();
        double[] want = new double[8 * width];
        Arrays.fill(want, 0, width, Double.NaN);
        System.arraycopy(mla.expected(tokens, 0, KvFormat.F32), 0, want, width, 7 * width);
        double[] magnitude = new double[want.length];
        Arrays.fill(magnitude, 3);
        Near.elementwise("nan", got, want, magnitude, tolerance(1e-5));
      }
    });
  }
}
