package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.fathom.quant.GptqLayout.StoredZeros;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.util.List;
import org.junit.jupiter.api.Test;

class DecodeAllocationTest {
  private static final int ROWS = 16;
  private static final int COLS = 64;

  @Test
  void decodingARowOfAnyFormatAllocatesNothing() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    float[] row = new float[COLS];
    try (Arena arena = Arena.ofConfined()) {
      for (WeightMatrix matrix : matrices(arena)) {
        decode(matrix, row, 3_000);
        long before = threads.getCurrentThreadAllocatedBytes();
        decode(matrix, row, 3_000);
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;
        // Less than a byte a row; the compiler may deoptimize and box once on the way.
        assertThat(allocated).as(String.valueOf(matrix.packing())).isLessThan(3_000L);
      }
    }
  }

  private static void decode(WeightMatrix matrix, float[] row, int times) {
    for (int i = 0; i < times; i++) {
      matrix.decodeRow(i % ROWS, row, 0);
    }
  }

  private static List<WeightMatrix> matrices(Arena arena) {
    AwqLayout awq = AwqLayout.of(ROWS, COLS, 32);
    GptqLayout gptq = new GptqLayout(ROWS, COLS, 4, 32, StoredZeros.EXACT, WeightFormat.F16);
    PackedIntLayout packed = new PackedIntLayout(ROWS, COLS, 8, 32, WeightFormat.BF16);
    BlockScaleLayout fp8 = BlockScaleLayout.square(ROWS, COLS, 32);
    Mxfp4Layout mxfp4 = new Mxfp4Layout(ROWS, COLS);
    MemorySegment index = arena.allocate(COLS * 4L);
    WeightMatrix gptqMatrix =
        WeightMatrix.gptq(gptq, data(arena, gptq), zeros(arena, gptq), scales(arena, gptq), index);
    return List.of(
        WeightMatrix.dense(WeightFormat.F32, ROWS, COLS, arena.allocate(ROWS * COLS * 4L)),
        WeightMatrix.dense(WeightFormat.F16, ROWS, COLS, arena.allocate(ROWS * COLS * 2L)),
        WeightMatrix.dense(WeightFormat.BF16, ROWS, COLS, arena.allocate(ROWS * COLS * 2L)),
        WeightMatrix.blockFp8(fp8, data(arena, fp8), scales(arena, fp8)),
        WeightMatrix.mxfp4(mxfp4, data(arena, mxfp4), scales(arena, mxfp4)),
        WeightMatrix.awq(awq, data(arena, awq), zeros(arena, awq), scales(arena, awq)),
        gptqMatrix,
        gptqMatrix.repack(arena),
        WeightMatrix.gptq(gptq, data(arena, gptq), zeros(arena, gptq), scales(arena, gptq), null)
            .repack(arena),
        WeightMatrix.packedInt(
            packed, data(arena, packed), scales(arena, packed), zeros(arena, packed), null),
        WeightMatrix.packedInt(packed, data(arena, packed), scales(arena, packed), null, null)
            .repack(arena));
  }

  private static MemorySegment data(Arena arena, WeightLayout layout) {
    return arena.allocate(layout.weightBytes());
  }

  private static MemorySegment scales(Arena arena, WeightLayout layout) {
    return arena.allocate(layout.scaleBytes());
  }

  private static MemorySegment zeros(Arena arena, IntegerLayout layout) {
    return arena.allocate(layout.zeroBytes());
  }
}
