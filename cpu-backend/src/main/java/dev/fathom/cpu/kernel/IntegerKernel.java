package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops of {@link IntegerPanels} with {@link Activation}s: sums of a turn's columns as exact
 * integers, then their scaled sum in float32, in rising order.
 *
 * <p>Sums in lanes of 16 bits may overflow on the way, but not at their end, which is what counts
 * modulo 2^16: 2 * 128 * 127 and 32 * 8 * 127 are below 2^15.
 *
 * <p>A loop goes over many panels, since a call for each of them reads memory a fifth slower. Their
 * shape is what the compiler turned into the fastest code (decision 0056): two of four steps are
 * written out, and the distance of two turns comes from a field, because where the compiler knows
 * it, it moves checks out of the loop and then keeps vectors on the stack.
 */
final class IntegerKernel {

  private static final VectorSpecies<Short> S = F.withLanes(short.class);
  private static final int[] DOWN_4 = Lanes.filled(0x00040004);
  private static final int[] DOWN_8 = Lanes.filled(0x00080008);
  private static final int[] DOWN_12 = Lanes.filled(0x000C000C);

  // A float16 between the sign and the exponent's last bits of a float32, and what is then missing.
  private static final int FLOAT_BITS = 0x8FFFE000;
  private static final float HALF_SHARE = 0x1p112f;

  /** Bytes of a vector, behind which the upper L rows of a step begin, and of two. */
  private static final long UP = 4L * L;

  private static final long TWO = 2 * UP;

  private final MemorySegment data;
  private final MemorySegment scales;
  private final MemorySegment zeros;
  private final boolean hasHalves;
  private final long stream;
  private final long turnBytes;
  private final int turns;
  private final int groups;
  private final int turnsOfGroup;
  private final int turnsOfBlock;
  private final int[] groupOfTurn;

  /**
   * Describes the panels of a matrix; see {@link IntegerPanels}.
   *
   * @param data all panels
   * @param scales weight scales, float16 where there are {@code hasHalves}
   * @param zeros zero points, empty without them
   * @param stream bytes from a stream to the next
   * @param turns turns of a row
   * @param groups groups of a row
   * @param turnsOfGroup turns of a group, the last one may have fewer
   * @param turnsOfBlock turns of a block of activations
   */
  IntegerKernel(
      MemorySegment data,
      MemorySegment scales,
      MemorySegment zeros,
      boolean hasHalves,
      long stream,
      int turns,
      int groups,
      int turnsOfGroup,
      int turnsOfBlock) {
    this.data = data;
    this.scales = scales;
    this.zeros = zeros;
    this.hasHalves = hasHalves;
    this.stream = stream;
    this.turnBytes = TWO;
    this.turns = turns;
    this.groups = groups;
    this.turnsOfGroup = turnsOfGroup;
    this.turnsOfBlock = turnsOfBlock;
    this.groupOfTurn = new int[turns];
    for (int t = 0; t < turns; t++) {
      groupOfTurn[t] = Math.min(groups - 1, t / turnsOfGroup);
    }
  }

  /**
   * Multiplies the columns of a group of panels [from, end) of 8 bits with the vector at x[x0],
   * without zero points.
   *
   * @param out products, from out[to] on: [panel][2 L]; groups but the first one add to them
   */
  void run8(int from, int end, int group, float[] x, int x0, float[] out, int to) {
    MemorySegment weights = NativeMemory.of(data);
    MemorySegment factors = NativeMemory.of(scales);
    ShortVector byteDown = IntVector.fromArray(I, DOWN_8, 0).reinterpretAsShorts();
    long next = stream;
    long stride = turnBytes;
    int first = group * turnsOfGroup;
    int len = Math.min(turnsOfGroup, turns - first);
    int records = x0 + first * Activation.RECORD_8;
    for (int p = from; p < end; p++) {
      long at = (p * (long) turns + first) * TWO;
      FloatVector low = FloatVector.zero(F), up = low;
      for (int t = 0; t < len; t++) {
        int k = records + t * Activation.RECORD_8;
        long w = at + t * stride;
        IntVector sum0 = IntVector.zero(I), high0 = sum0, sum1 = sum0, high1 = sum0, n;
        ShortVector a, b, c, v;
        for (int j = 0; j < 4; j += 2, w += 2 * next) {
          a = FloatVector.broadcast(F, x[k + j]).reinterpretAsShorts();
          b = FloatVector.broadcast(F, x[k + j + 4]).reinterpretAsShorts();
          c = FloatVector.broadcast(F, x[k + j + 8]).reinterpretAsShorts();
          v = IntVector.fromMemorySegment(I, weights, w, LITTLE).reinterpretAsShorts();
          n = v.mul(a).add(v.lanewise(ASHR, byteDown).mul(b)).add(c).reinterpretAsInts();
          sum0 = sum0.add(n);
          high0 = high0.add(n.lanewise(ASHR, 16));
          v = IntVector.fromMemorySegment(I, weights, w + UP, LITTLE).reinterpretAsShorts();
          n = v.mul(a).add(v.lanewise(ASHR, byteDown).mul(b)).add(c).reinterpretAsInts();
          sum1 = sum1.add(n);
          high1 = high1.add(n.lanewise(ASHR, 16));
          a = FloatVector.broadcast(F, x[k + j + 1]).reinterpretAsShorts();
          b = FloatVector.broadcast(F, x[k + j + 5]).reinterpretAsShorts();
          c = FloatVector.broadcast(F, x[k + j + 9]).reinterpretAsShorts();
          v = IntVector.fromMemorySegment(I, weights, w + next, LITTLE).reinterpretAsShorts();
          n = v.mul(a).add(v.lanewise(ASHR, byteDown).mul(b)).add(c).reinterpretAsInts();
          sum0 = sum0.add(n);
          high0 = high0.add(n.lanewise(ASHR, 16));
          v = IntVector.fromMemorySegment(I, weights, w + next + UP, LITTLE).reinterpretAsShorts();
          n = v.mul(a).add(v.lanewise(ASHR, byteDown).mul(b)).add(c).reinterpretAsInts();
          sum1 = sum1.add(n);
          high1 = high1.add(n.lanewise(ASHR, 16));
        }
        // Sums of both halves, each low one 2^15 too large; the first ones hold 2^16 * high, too.
        sum0 = sum0.add(high0).sub(high0.lanewise(LSHL, 16)).sub(4 * Activation.TOP);
        sum1 = sum1.add(high1).sub(high1.lanewise(LSHL, 16)).sub(4 * Activation.TOP);
        FloatVector factor = FloatVector.broadcast(F, x[k + Activation.RECORD_8 - 1]);
        low = ((FloatVector) sum0.convert(I2F, 0)).fma(factor, low);
        up = ((FloatVector) sum1.convert(I2F, 0)).fma(factor, up);
      }
      long table = (p * (long) groups + group) * TWO;
      int row = to + (p - from) * 2 * L;
      low = low.mul(FloatVector.fromMemorySegment(F, factors, table, LITTLE));
      up = up.mul(FloatVector.fromMemorySegment(F, factors, table + UP, LITTLE));
      if (group > 0) {
        low = low.add(FloatVector.fromArray(F, out, row));
        up = up.add(FloatVector.fromArray(F, out, row + L));
      }
      low.intoArray(out, row);
      up.intoArray(out, row + L);
    }
  }

  /**
   * Multiplies panels [from, end) of 4 bits with the vector at x[x0], without zero points.
   *
   * @param out products, from out[to] on: [panel][2 L]
   */
  void run4(int from, int end, float[] x, int x0, float[] out, int to) {
    MemorySegment weights = NativeMemory.of(data);
    MemorySegment factors = NativeMemory.of(scales);
    ShortVector down4 = IntVector.fromArray(I, DOWN_4, 0).reinterpretAsShorts();
    ShortVector down8 = IntVector.fromArray(I, DOWN_8, 0).reinterpretAsShorts();
    ShortVector down12 = IntVector.fromArray(I, DOWN_12, 0).reinterpretAsShorts();
    long next = stream, stride = turnBytes;
    for (int p = from; p < end; p++) {
      long at = p * (long) turns * TWO;
      FloatVector low = FloatVector.zero(F), up = low;
      for (int t = 0; t < turns; t++) {
        int k = x0 + t * Activation.RECORD_4;
        long w = at + t * stride;
        ShortVector s0 = ShortVector.zero(S), s1 = s0, a, b, c, d, v;
        for (int j = 0; j < 4; j += 2, w += 2 * next) {
          a = FloatVector.broadcast(F, x[k + j]).reinterpretAsShorts();
          b = FloatVector.broadcast(F, x[k + j + 4]).reinterpretAsShorts();
          c = FloatVector.broadcast(F, x[k + j + 8]).reinterpretAsShorts();
          d = FloatVector.broadcast(F, x[k + j + 12]).reinterpretAsShorts();
          v = IntVector.fromMemorySegment(I, weights, w, LITTLE).reinterpretAsShorts();
          s0 = s0.add(v.mul(a)).add(v.lanewise(LSHR, down4).mul(b));
          s0 = s0.add(v.lanewise(LSHR, down8).mul(c)).add(v.lanewise(LSHR, down12).mul(d));
          v = IntVector.fromMemorySegment(I, weights, w + UP, LITTLE).reinterpretAsShorts();
          s1 = s1.add(v.mul(a)).add(v.lanewise(LSHR, down4).mul(b));
          s1 = s1.add(v.lanewise(LSHR, down8).mul(c)).add(v.lanewise(LSHR, down12).mul(d));
          a = FloatVector.broadcast(F, x[k + j + 1]).reinterpretAsShorts();
          b = FloatVector.broadcast(F, x[k + j + 5]).reinterpretAsShorts();
          c = FloatVector.broadcast(F, x[k + j + 9]).reinterpretAsShorts();
          d = FloatVector.broadcast(F, x[k + j + 13]).reinterpretAsShorts();
          v = IntVector.fromMemorySegment(I, weights, w + next, LITTLE).reinterpretAsShorts();
          s0 = s0.add(v.mul(a)).add(v.lanewise(LSHR, down4).mul(b));
          s0 = s0.add(v.lanewise(LSHR, down8).mul(c)).add(v.lanewise(LSHR, down12).mul(d));
          v = IntVector.fromMemorySegment(I, weights, w + next + UP, LITTLE).reinterpretAsShorts();
          s1 = s1.add(v.mul(a)).add(v.lanewise(LSHR, down4).mul(b));
          s1 = s1.add(v.lanewise(LSHR, down8).mul(c)).add(v.lanewise(LSHR, down12).mul(d));
        }
        // The high half of i + (i << 16) is the sum of both halves of i.
        IntVector more = FloatVector.broadcast(F, x[k + 16]).reinterpretAsInts();
        IntVector i0 = s0.reinterpretAsInts(), i1 = s1.reinterpretAsInts();
        i0 = i0.add(i0.lanewise(LSHL, 16)).sub(more).lanewise(ASHR, 16);
        i1 = i1.add(i1.lanewise(LSHL, 16)).sub(more).lanewise(ASHR, 16);
        FloatVector factor = FloatVector.broadcast(F, x[k + 17]);
        FloatVector f0 = ((FloatVector) i0.convert(I2F, 0)).mul(factor);
        FloatVector f1 = ((FloatVector) i1.convert(I2F, 0)).mul(factor);
        long table = p * (long) groups + groupOfTurn[t];
        if (hasHalves) {
          IntVector pair = IntVector.fromMemorySegment(I, factors, table * UP, LITTLE);
          i0 = pair.lanewise(LSHL, 16).lanewise(ASHR, 3).and(FLOAT_BITS);
          low = f0.fma(i0.reinterpretAsFloats().mul(HALF_SHARE), low);
          i1 = pair.lanewise(ASHR, 3).and(FLOAT_BITS);
          up = f1.fma(i1.reinterpretAsFloats().mul(HALF_SHARE), up);
        } else {
          low = f0.fma(FloatVector.fromMemorySegment(F, factors, table * TWO, LITTLE), low);
          up = f1.fma(FloatVector.fromMemorySegment(F, factors, table * TWO + UP, LITTLE), up);
        }
      }
      low.intoArray(out, to + (p - from) * 2 * L);
      up.intoArray(out, to + (p - from) * 2 * L + L);
    }
  }

  /** Writes the scales of a panel to out: [group][2 L], and behind them its zero points. */
  void readTables(int panel, float[] out, int to) {
    MemorySegment factors = NativeMemory.of(scales);
    MemorySegment points = NativeMemory.of(zeros);
    boolean hasZeros = points.byteSize() > 0;
    int len = groups * 2 * L;
    for (int g = 0; g < groups; g++) {
      int at = to + g * 2 * L;
      long group = panel * (long) groups + g;
      if (hasHalves) {
        IntVector pair = IntVector.fromMemorySegment(I, factors, group * UP, LITTLE);
        IntVector bits = pair.lanewise(LSHL, 16).lanewise(ASHR, 3).and(FLOAT_BITS);
        bits.reinterpretAsFloats().mul(HALF_SHARE).intoArray(out, at);
        bits = pair.lanewise(ASHR, 3).and(FLOAT_BITS);
        bits.reinterpretAsFloats().mul(HALF_SHARE).intoArray(out, at + L);
      } else {
        FloatVector.fromMemorySegment(F, factors, group * TWO, LITTLE).intoArray(out, at);
        FloatVector.fromMemorySegment(F, factors, group * TWO + UP, LITTLE).intoArray(out, at + L);
      }
      IntVector pair = IntVector.zero(I);
      if (hasZeros) {
        pair = IntVector.fromMemorySegment(I, points, group * UP, LITTLE);
      }
      IntVector low = pair.lanewise(LSHL, 16).lanewise(ASHR, 16);
      ((FloatVector) low.convert(I2F, 0)).intoArray(out, at + len);
      ((FloatVector) pair.lanewise(ASHR, 16).convert(I2F, 0)).intoArray(out, at + len + L);
    }
  }

  /**
   * Takes scale * zero point * activation sum of each group from the products of a panel.
   *
   * @param x activation, whose sums of blocks begin at {@code sums}
   * @param tables what {@link #readTables} wrote, from {@code table} on
   * @param out products: [2 L], from out[to] on
   */
  void takeZeros(float[] x, int sums, float[] tables, int table, float[] out, int to) {
    FloatVector low = FloatVector.fromArray(F, out, to);
    FloatVector up = FloatVector.fromArray(F, out, to + L);
    int points = table + groups * 2 * L;
    for (int g = 0; g < groups; g++) {
      float sum = 0;
      int last = g == groups - 1 ? turns : (g + 1) * turnsOfGroup;
      for (int t = g * turnsOfGroup; t < last; t += turnsOfBlock) {
        sum += x[sums + t / turnsOfBlock];
      }
      int at = g * 2 * L;
      FloatVector minus = FloatVector.broadcast(F, -sum);
      FloatVector zero = FloatVector.fromArray(F, tables, points + at).mul(minus);
      low = zero.fma(FloatVector.fromArray(F, tables, table + at), low);
      zero = FloatVector.fromArray(F, tables, points + at + L).mul(minus);
      up = zero.fma(FloatVector.fromArray(F, tables, table + at + L), up);
    }
    low.intoArray(out, to);
    up.intoArray(out, to + L);
  }
}
