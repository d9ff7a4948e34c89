package dev.fathom.engine;

import dev.fathom.backend.LargePageArena;
import dev.fathom.quant.Bf16;
import dev.fathom.quant.BlockFp8Quantizer;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.GroupSize;
import dev.fathom.quant.Int4Layout;
import dev.fathom.quant.Int4Quantizer;
import dev.fathom.quant.Int4Recipe;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.Int8Quantizer;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import dev.fathom.quant.ZeroPoints;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/**
 * Weights of linears in another format than the checkpoint's, made while loading, one matrix after
 * the other: the stored bytes are in memory only meanwhile.
 *
 * <p>BF16 rounds to nearest even. FP8 has a float32 scale for 128 x 128 blocks, INT8 one a row,
 * INT4 a float16 scale and a zero point for groups of 32 columns (or what divides them), all
 * rounded to nearest without calibration.
 */
final class Requantized {

  /** Formats that weights can be brought to. */
  static final List<WeightFormat> FORMATS =
      List.of(WeightFormat.BF16, WeightFormat.FP8_E4M3, WeightFormat.INT8, WeightFormat.INT4);

  private static final int FP8_BLOCK = 128;
  private static final int INT4_GROUP = 32;
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Requantized() {}

  /** Returns a stored matrix in another format. */
  static StoredWeight as(StoredWeight stored, WeightFormat target) {
    int rows = Math.toIntExact(stored.shape().get(0));
    int cols = Math.toIntExact(stored.shape().get(1));
    return new StoredWeight(
        stored.shape(),
        target,
        stored.tensors(),
        bytes(target, rows, cols),
        source -> {
          try (Arena temporary = LargePageArena.open()) {
            WeightMatrix matrix =
                stored.recipe().read(new StoredWeight.Source(source.segments(), temporary));
            return quantize(matrix, target, source);
          }
        });
  }

  private static long bytes(WeightFormat target, int rows, int cols) {
    return switch (target) {
      case BF16 -> target.bytes((long) rows * cols);
      case FP8_E4M3 -> {
        BlockScaleLayout layout = BlockScaleLayout.square(rows, cols, FP8_BLOCK);
        yield layout.weightBytes() + layout.scaleBytes();
      }
      case INT8 -> {
        Int8Layout layout = Int8Layout.perChannel(rows, cols, WeightFormat.F32);
        yield layout.weightBytes() + layout.scaleBytes();
      }
      case INT4 -> {
        Int4Layout layout = recipe(cols).layout(rows, cols);
        yield layout.weightBytes() + layout.scaleBytes() + layout.zeroBytes();
      }
      default -> throw new IllegalArgumentException("must be one of " + FORMATS + ": " + target);
    };
  }

  private static Int4Recipe recipe(int cols) {
    return new Int4Recipe(GroupSize.fit(INT4_GROUP, cols), ZeroPoints.ASYMMETRIC, WeightFormat.F16);
  }

  private static WeightMatrix quantize(
      WeightMatrix from, WeightFormat target, StoredWeight.Source out) {
    int rows = from.rows();
    int cols = from.cols();
    return switch (target) {
      case BF16 -> bf16(from, out);
      case FP8_E4M3 -> {
        BlockScaleLayout layout = BlockScaleLayout.square(rows, cols, FP8_BLOCK);
        MemorySegment data = out.allocate(layout.weightBytes());
        MemorySegment scales = out.allocate(layout.scaleBytes());
        BlockFp8Quantizer.quantize(from::decodeRow, layout, data, scales);
        yield WeightMatrix.blockFp8(layout, data, scales);
      }
      case INT8 ->
          Int8Quantizer.quantize(
              from::decodeRow,
              Int8Layout.perChannel(rows, cols, WeightFormat.F32),
              (bytes, alignment) -> out.allocate(bytes));
      case INT4 ->
          Int4Quantizer.quantize(
              from::decodeRow, rows, cols, recipe(cols), (bytes, alignment) -> out.allocate(bytes));
      default -> throw new IllegalArgumentException("must be one of " + FORMATS + ": " + target);
    };
  }

  private static WeightMatrix bf16(WeightMatrix from, StoredWeight.Source out) {
    int cols = from.cols();
    MemorySegment data = out.allocate(WeightFormat.BF16.bytes((long) from.rows() * cols));
    float[] row = new float[cols];
    long at = 0;
    for (int r = 0; r < from.rows(); r++) {
      from.decodeRow(r, row, 0);
      for (int c = 0; c < cols; c++, at += Short.BYTES) {
        data.set(SHORT, at, Bf16.encode(row[c]));
      }
    }
    return WeightMatrix.dense(WeightFormat.BF16, from.rows(), cols, data);
  }
}
