package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.BackendOptions;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.Bf16;
import dev.fathom.quant.Int4Quantizer;
import dev.fathom.quant.Int4Recipe;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.Int8Quantizer;
import dev.fathom.quant.RowReader;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import dev.fathom.quant.ZeroPoints;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Matrices that the threads of a backend repack together are those that one repacks alone. */
class SharedRepackingTest {

  private static final int ROWS = 1050;
  private static final int COLS = 1024;

  private final float[] values = new float[ROWS * COLS];
  private final Arena arena = Arena.ofAuto();

  SharedRepackingTest() {
    Random random = new Random(4);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
  }

  private WeightMatrix weights(WeightFormat format) {
    RowReader rows = (r, out, off) -> System.arraycopy(values, r * COLS, out, off, COLS);
    return switch (format) {
      case BF16 -> {
        MemorySegment data = arena.allocate(2L * values.length, 64);
        for (int i = 0; i < values.length; i++) {
          data.setAtIndex(ValueLayout.JAVA_SHORT, i, Bf16.encode(values[i]));
        }
        yield WeightMatrix.dense(WeightFormat.BF16, ROWS, COLS, data);
      }
      case INT8 ->
          Int8Quantizer.quantize(rows, Int8Layout.perChannel(ROWS, COLS, WeightFormat.F32), arena);
      default ->
          Int4Quantizer.quantize(
              rows, ROWS, COLS, new Int4Recipe(32, ZeroPoints.ASYMMETRIC, WeightFormat.F16), arena);
    };
  }

  private static float[] decoded(WeightMatrix source, int threads) {
    WeightRef weight = new WeightRef("w", List.of(ROWS, COLS), source.format());
    try (CpuBackend backend = new CpuBackend(new BackendOptions(threads, 0, ActivationMode.AUTO))) {
      CpuWeight placed = (CpuWeight) backend.place(weight, source);
      float[] out = new float[ROWS * COLS];
      for (int r = 0; r < ROWS; r++) {
        placed.rows().read(r, out, r * COLS);
      }
      return out;
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "INT8", "INT4"})
  void threadsRepackWhatOneDoes(WeightFormat format) {
    WeightMatrix source = weights(format);
    float[] want = new float[ROWS * COLS];
    for (int r = 0; r < ROWS; r++) {
      source.decodeRow(r, want, r * COLS);
    }
    for (int threads : new int[] {1, 2, 5}) {
      assertThat(decoded(source, threads)).as("%d threads", threads).isEqualTo(want);
    }
  }
}
