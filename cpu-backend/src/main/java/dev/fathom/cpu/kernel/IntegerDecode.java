package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Decodes panels of {@link IntegerPanels} to bfloat16, rounded as {@link Bf16Round} does: two
 * columns of a row lie in an int, those of 64 rows side by side.
 *
 * <p>A weight is code * scale + offset in one rounding; the offset takes away what the zero point
 * is worth and what codes that lie as numbers from 0 on are too large by.
 */
final class IntegerDecode {

  /** Bytes from two columns of a row to the next two. */
  private static final int STEP = 64 * Integer.BYTES;

  private final MemorySegment data;
  private final long stream;
  private final int bits;
  private final int columns;
  private final int groups;
  private final int groupSize;

  /**
   * Describes the panels of a matrix.
   *
   * @param data all panels
   * @param stream bytes from a stream to the next
   * @param columns columns, filled up
   * @param groupSize columns of a group, a multiple of 32 where there are several
   */
  IntegerDecode(MemorySegment data, long stream, int bits, int columns, int groups, int groupSize) {
    this.data = data;
    this.stream = stream;
    this.bits = bits;
    this.columns = columns;
    this.groups = groups;
    this.groupSize = groupSize;
  }

  /**
   * Decodes a panel.
   *
   * @param at its first byte in the first stream
   * @param tables its scales [group][2 L], and behind them its zero points, which are overwritten
   * @param scales where the scales begin
   * @param target where the first two columns of its first row go
   */
  void run(long at, float[] tables, int scales, MemorySegment out, long target) {
    int len = groups * 2 * L;
    int middle = bits == 4 ? IntegerPanels.MIDDLE_4 : 0;
    for (int i = scales; i < scales + len; i++) {
      tables[i + len] = -(tables[i + len] + middle) * tables[i];
    }
    if (bits == 4) {
      run4(at, tables, scales, scales + len, out, target);
    } else {
      run8(at, tables, scales, scales + len, out, target);
    }
  }

  private void run8(long at, float[] t, int scales, int offsets, MemorySegment to, long target) {
    MemorySegment weights = NativeMemory.of(data);
    MemorySegment out = NativeMemory.of(to);
    for (int c = 0; c < columns; c += 2) {
      int group = Math.min(groups - 1, c / groupSize) * 2 * L;
      FloatVector scale = FloatVector.fromArray(F, t, scales + group);
      FloatVector odd = FloatVector.fromArray(F, t, offsets + group);
      FloatVector even = scale.fma(FloatVector.broadcast(F, -IntegerPanels.MIDDLE_8), odd);
      long from = at + IntegerPanels.stepByte(c, 2, stream);
      IntVector v = IntVector.fromMemorySegment(I, weights, from, LITTLE);
      long row = target + (long) (c / 2) * STEP;
      FloatVector w = (FloatVector) v.and(0xFF).convert(VectorOperators.I2F, 0);
      IntVector low = w.fma(scale, even).reinterpretAsInts().add(Bf16Round.HALF);
      w =
          (FloatVector)
              v.lanewise(VectorOperators.LSHL, 16)
                  .lanewise(VectorOperators.ASHR, 24)
                  .convert(VectorOperators.I2F, 0);
      IntVector high = w.fma(scale, odd).reinterpretAsInts().add(Bf16Round.HALF);
      low.lanewise(VectorOperators.LSHR, 16)
          .or(high.and(Bf16Round.HIGH))
          .intoMemorySegment(out, row, LITTLE);
      scale = FloatVector.fromArray(F, t, scales + group + L);
      odd = FloatVector.fromArray(F, t, offsets + group + L);
      even = scale.fma(FloatVector.broadcast(F, -IntegerPanels.MIDDLE_8), odd);
      w =
          (FloatVector)
              v.lanewise(VectorOperators.LSHR, 16).and(0xFF).convert(VectorOperators.I2F, 0);
      low = w.fma(scale, even).reinterpretAsInts().add(Bf16Round.HALF);
      w = (FloatVector) v.lanewise(VectorOperators.ASHR, 24).convert(VectorOperators.I2F, 0);
      high = w.fma(scale, odd).reinterpretAsInts().add(Bf16Round.HALF);
      low.lanewise(VectorOperators.LSHR, 16)
          .or(high.and(Bf16Round.HIGH))
          .intoMemorySegment(out, row + 4L * L, LITTLE);
    }
  }

  private void run4(long at, float[] t, int scales, int offsets, MemorySegment to, long target) {
    MemorySegment weights = NativeMemory.of(data);
    MemorySegment out = NativeMemory.of(to);
    for (int c = 0; c < columns; c += 4) {
      int group = Math.min(groups - 1, c / groupSize) * 2 * L;
      FloatVector scale = FloatVector.fromArray(F, t, scales + group);
      FloatVector offset = FloatVector.fromArray(F, t, offsets + group);
      long from = at + IntegerPanels.stepByte(c, 4, stream);
      IntVector v = IntVector.fromMemorySegment(I, weights, from, LITTLE);
      long row = target + (long) (c / 2) * STEP;
      FloatVector w = (FloatVector) v.and(0xF).convert(VectorOperators.I2F, 0);
      IntVector low = w.fma(scale, offset).reinterpretAsInts().add(Bf16Round.HALF);
      w =
          (FloatVector)
              v.lanewise(VectorOperators.LSHR, 4).and(0xF).convert(VectorOperators.I2F, 0);
      IntVector high = w.fma(scale, offset).reinterpretAsInts().add(Bf16Round.HALF);
      low.lanewise(VectorOperators.LSHR, 16)
          .or(high.and(Bf16Round.HIGH))
          .intoMemorySegment(out, row, LITTLE);
      w =
          (FloatVector)
              v.lanewise(VectorOperators.LSHR, 8).and(0xF).convert(VectorOperators.I2F, 0);
      low = w.fma(scale, offset).reinterpretAsInts().add(Bf16Round.HALF);
      w =
          (FloatVector)
              v.lanewise(VectorOperators.LSHR, 12).and(0xF).convert(VectorOperators.I2F, 0);
      high = w.fma(scale, offset).reinterpretAsInts().add(Bf16Round.HALF);
      low.lanewise(VectorOperators.LSHR, 16)
          .or(high.and(Bf16Round.HIGH))
          .intoMemorySegment(out, row + STEP, LITTLE);
      scale = FloatVector.fromArray(F, t, scales + group + L);
      offset = FloatVector.fromArray(F, t, offsets + group + L);
      w =
          (FloatVector)
              v.lanewise(VectorOperators.LSHR, 16).and(0xF).convert(VectorOperators.I2F, 0);
      low = w.fma(scale, offset).reinterpretAsInts().add(Bf16Round.HALF);
      w =
          (FloatVector)
              v.lanewise(VectorOperators.LSHR, 20).and(0xF).convert(VectorOperators.I2F, 0);
      high = w.fma(scale, offset).reinterpretAsInts().add(Bf16Round.HALF);
      low.lanewise(VectorOperators.LSHR, 16)
          .or(high.and(Bf16Round.HIGH))
          .intoMemorySegment(out, row + 4L * L, LITTLE);
      w =
          (FloatVector)
              v.lanewise(VectorOperators.LSHR, 24).and(0xF).convert(VectorOperators.I2F, 0);
      low = w.fma(scale, offset).reinterpretAsInts().add(Bf16Round.HALF);
      w = (FloatVector) v.lanewise(VectorOperators.LSHR, 28).convert(VectorOperators.I2F, 0);
      high = w.fma(scale, offset).reinterpretAsInts().add(Bf16Round.HALF);
      low.lanewise(VectorOperators.LSHR, 16)
          .or(high.and(Bf16Round.HIGH))
          .intoMemorySegment(out, row + STEP + 4L * L, LITTLE);
    }
  }
}
