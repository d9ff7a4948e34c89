package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.I;
import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import dev.fathom.quant.Fp8E4m3;
import dev.fathom.quant.Fp8E5m2;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Widens stored E4M3 and E5M2 to float32 in natural order, with the values of {@link Fp8E4m3} and
 * {@link Fp8E5m2} for every code.
 *
 * <p>Exponent field and mantissa are moved to bit 23 and the difference of the biases is added to
 * the exponent. A subnormal code m * 2^-k has become (1 + m / 2^M) * 2^(M-1-k), so it is twice that
 * less 2^(M-k): exact, and without subnormal float32, which some processors take a hundred cycles
 * for. NaN and infinity are put in their places, the sign last.
 */
public final class Fp8Decode {

  /** As many bytes as floats, or twice as many where vectors have at least 64 bits. */
  private static final VectorSpecies<Byte> B =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, Byte.SIZE * L)));

  /** The elements of a turn; 0 where there are no vectors of a fitting length. */
  private static final int TURN = L < 4 ? 0 : B.length();

  private static final int MAGNITUDE = 0x7F;
  private static final int SIGN = 0x80000000;

  private static final int E4M3_SHIFT = 20;
  private static final int E4M3_BIAS = (127 - 7) << 23;
  private static final float E4M3_NORMAL = 0x1p-6f;
  private static final int E4M3_NAN = MAGNITUDE << E4M3_SHIFT;

  private static final int E5M2_SHIFT = 21;
  private static final int E5M2_BIAS = (127 - 15) << 23;
  private static final float E5M2_NORMAL = 0x1p-14f;
  private static final int E5M2_INFINITY = 0x7C << E5M2_SHIFT;

  /** The smallest normal code, moved. */
  private static final int NORMAL = 1 << 23;

  private static final int INFINITY = 0x7F800000;

  private static final float[] E4M3 = Fp8E4m3.table();
  private static final float[] E5M2 = Fp8E5m2.table();

  private Fp8Decode() {}

  /**
   * Writes scale times the len E4M3 elements that begin at byte at of the segment to out[off, off +
   * len).
   */
  public static void e4m3(
      MemorySegment source, long at, float scale, float[] out, int off, int len) {
    MemorySegment elements = NativeMemory.of(source);
    int body = TURN == 0 ? 0 : len - len % TURN;
    for (int i = 0; i < body; i += TURN) {
      ByteVector codes = ByteVector.fromMemorySegment(B, elements, at + i, LITTLE);
      e4m3((IntVector) codes.castShape(I, 0)).mul(scale).intoArray(out, off + i);
      if (TURN > L) {
        e4m3((IntVector) codes.castShape(I, 1)).mul(scale).intoArray(out, off + i + L);
      }
    }
    for (int i = body; i < len; i++) {
      out[off + i] = scale * E4M3[source.get(ValueLayout.JAVA_BYTE, at + i) & 0xFF];
    }
  }

  private static FloatVector e4m3(IntVector code) {
    IntVector bits = code.and(MAGNITUDE).lanewise(VectorOperators.LSHL, E4M3_SHIFT);
    FloatVector value = bits.add(E4M3_BIAS).reinterpretAsFloats();
    FloatVector subnormal = value.add(value).sub(E4M3_NORMAL);
    value = value.blend(subnormal, bits.compare(VectorOperators.LT, NORMAL).cast(F));
    value = value.blend(Float.NaN, bits.eq(E4M3_NAN).cast(F));
    return value.reinterpretAsInts().or(code.and(SIGN)).reinterpretAsFloats();
  }

  /** Writes the len E5M2 elements that begin at byte at of the segment to out[off, off + len). */
  public static void e5m2(MemorySegment source, long at, float[] out, int off, int len) {
    MemorySegment elements = NativeMemory.of(source);
    int body = TURN == 0 ? 0 : len - len % TURN;
    for (int i = 0; i < body; i += TURN) {
      ByteVector codes = ByteVector.fromMemorySegment(B, elements, at + i, LITTLE);
      e5m2((IntVector) codes.castShape(I, 0)).intoArray(out, off + i);
      if (TURN > L) {
        e5m2((IntVector) codes.castShape(I, 1)).intoArray(out, off + i + L);
      }
    }
    for (int i = body; i < len; i++) {
      out[off + i] = E5M2[source.get(ValueLayout.JAVA_BYTE, at + i) & 0xFF];
    }
  }

  private static FloatVector e5m2(IntVector code) {
    IntVector bits = code.and(MAGNITUDE).lanewise(VectorOperators.LSHL, E5M2_SHIFT);
    FloatVector value = bits.add(E5M2_BIAS).reinterpretAsFloats();
    FloatVector subnormal = value.add(value).sub(E5M2_NORMAL);
    value = value.blend(subnormal, bits.compare(VectorOperators.LT, NORMAL).cast(F));
    // What is left of the mantissa tells NaN from infinity.
    IntVector all = value.reinterpretAsInts();
    all = all.blend(bits.or(INFINITY), bits.compare(VectorOperators.GE, E5M2_INFINITY));
    return all.or(code.and(SIGN)).reinterpretAsFloats();
  }
}
