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
  private static final long STEP = 64 * Integer.BYTES;

  /** What makes signed bytes, every second one, numbers from 0 on. */
  private static final int FLIP_8 = 0x80008000;

  private final MemorySegment data;
  private final long stream;
  private final int bits;
  private final int turn;
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
    this.turn = Activation.turn(bits);
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
    int middle = bits == 4 ? IntegerPanels.MIDDLE_4 : IntegerPanels.MIDDLE_8;
    for (int i = scales; i < scales + len; i++) {
      tables[i + len] = -(tables[i + len] + middle) * tables[i];
    }
    for (int c = 0; c < columns; c += turn) {
      int group = scales + Math.min(groups - 1, c / groupSize) * 2 * L;
      for (int j = 0; j < Activation.STEPS; j += 2) {
        long from = at + IntegerPanels.stepByte(c + j, turn, stream);
        for (int i = 0; i < 2; i++) {
          long row = target + (c + j) / 2 * STEP + i * (4L * L);
          pairs(from + i * (4L * L), tables, group + i * L, len, out, row);
        }
      }
    }
  }

  /**
   * Decodes the columns of two steps of L rows.
   *
   * @param from byte of the first step
   * @param scales where the rows' scales begin, their offsets are {@code len} further on
   * @param row where the first two columns of the first row go
   */
  private void pairs(long from, float[] tables, int scales, int len, MemorySegment to, long row) {
    MemorySegment weights = NativeMemory.of(data);
    MemorySegment out = NativeMemory.of(to);
    FloatVector scale = FloatVector.fromArray(F, tables, scales);
    FloatVector offset = FloatVector.fromArray(F, tables, scales + len);
    int mask = (1 << bits) - 1;
    // Every code as a number from 0 on.
    int flip = bits == 8 ? FLIP_8 : 0;
    IntVector even = IntVector.fromMemorySegment(I, weights, from, LITTLE);
    even = even.lanewise(VectorOperators.XOR, flip);
    IntVector odd = IntVector.fromMemorySegment(I, weights, from + stream, LITTLE);
    odd = odd.lanewise(VectorOperators.XOR, flip);
    for (int shift = 0; shift < Integer.SIZE; shift += bits, row += Activation.STEPS / 2 * STEP) {
      FloatVector w =
          (FloatVector)
              even.lanewise(VectorOperators.LSHR, shift).and(mask).convert(VectorOperators.I2F, 0);
      IntVector low = w.fma(scale, offset).reinterpretAsInts().add(Bf16Round.HALF);
      w =
          (FloatVector)
              odd.lanewise(VectorOperators.LSHR, shift).and(mask).convert(VectorOperators.I2F, 0);
      IntVector high = w.fma(scale, offset).reinterpretAsInts().add(Bf16Round.HALF);
      low.lanewise(VectorOperators.LSHR, 16)
          .or(high.and(Bf16Round.HIGH))
          .intoMemorySegment(out, row, LITTLE);
    }
  }
}
