package dev.fathom.jmh;

import dev.fathom.program.WeightRef;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.Int4Layout;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.Mxfp4Layout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumMap;
import java.util.Map;
import java.util.Random;

/**
 * Makes matrices of random numbers of about +-0.04, fast: a piece of random elements, repeated. Its
 * length is prime, so that no two rows of a matrix are equal.
 */
final class RandomWeights {

  private static final int PIECE = 999_983;

  private final Random random = new Random(1);
  private final Map<WeightFormat, MemorySegment> pieces = new EnumMap<>(WeightFormat.class);

  /** Makes a matrix in memory of the arena. */
  WeightMatrix matrix(WeightRef ref, Arena arena) {
    WeightFormat format = ref.format();
    long elements = (long) ref.rows() * ref.cols();
    MemorySegment data = arena.allocate(format.bytes(elements), 64);
    MemorySegment piece = pieces.computeIfAbsent(format, this::piece);
    for (long at = 0; at < data.byteSize(); at += piece.byteSize()) {
      long len = Math.min(piece.byteSize(), data.byteSize() - at);
      MemorySegment.copy(piece, 0, data, at, len);
    }
    return format.isDense()
        ? WeightMatrix.dense(format, ref.rows(), ref.cols(), data)
        : scaled(ref, data, arena);
  }

  private MemorySegment piece(WeightFormat format) {
    int elementBytes = Math.max(1, format.bitsPerWeight() / Byte.SIZE);
    MemorySegment piece = Arena.ofAuto().allocate((long) PIECE * elementBytes, 64);
    for (int i = 0; i < PIECE; i++) {
      float value = (random.nextFloat() - 0.5f) * 0.075f;
      switch (format) {
        case F32 -> piece.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        case F16 -> piece.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(value));
        case BF16 ->
            piece.setAtIndex(
                ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
        // Without the large exponents of E4M3 and with them NaN.
        case FP8_E4M3 -> piece.set(ValueLayout.JAVA_BYTE, i, (byte) (random.nextInt() & 0xB7));
        case INT8, INT4, MXFP4 -> piece.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt());
      }
    }
    return piece;
  }

  private static WeightMatrix scaled(WeightRef ref, MemorySegment data, Arena arena) {
    int rows = ref.rows();
    int cols = ref.cols();
    return switch (ref.format()) {
      case INT8 -> {
        Int8Layout layout = Int8Layout.perChannel(rows, cols, WeightFormat.F32);
        yield WeightMatrix.int8(
            layout, data, floats(layout.scaleBytes(), 0.0003f, arena), null, null);
      }
      case INT4 -> {
        Int4Layout layout = new Int4Layout(rows, cols, 32, WeightFormat.F32);
        yield WeightMatrix.int4(
            layout, data, floats(layout.scaleBytes(), 0.005f, arena), null, null);
      }
      case MXFP4 -> {
        Mxfp4Layout layout = new Mxfp4Layout(rows, cols);
        MemorySegment scales = arena.allocate(layout.scaleBytes(), 64).fill((byte) 120);
        yield WeightMatrix.mxfp4(layout, data, scales);
      }
      default -> {
        BlockScaleLayout layout = BlockScaleLayout.square(rows, cols, 128);
        yield WeightMatrix.blockFp8(layout, data, floats(layout.scaleBytes(), 0.05f, arena));
      }
    };
  }

  private static MemorySegment floats(long bytes, float value, Arena arena) {
    MemorySegment floats = arena.allocate(bytes, 64);
    for (long i = 0; i < bytes / Float.BYTES; i++) {
      floats.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
    }
    return floats;
  }
}
