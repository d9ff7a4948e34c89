package dev.fathom.engine;

import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.error.Text;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.PackedIntLayout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Integers as the compressed-tensors library stores them: {@code X.weight_packed} I32 ({@code
 * pack-quantized}) or {@code X.weight} I8 ({@code int-quantized}), with {@code X.weight_scale}.
 * Packed words are row-major bytes in memory.
 */
final class CompressedTensors {

  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final List<SafetensorsDtype> INTEGERS =
      List.of(SafetensorsDtype.I64, SafetensorsDtype.I32);

  private final QuantizationRules rules;

  CompressedTensors(QuantizationRules rules) {
    this.rules = rules;
  }

  /**
   * The linear of these words.
   *
   * @param expected shape that the architecture expects; only the file's bytes say how much of the
   *     last word of a row is padding, so it is taken where it fits and compared when reading
   */
  StoredWeight packed(TensorInfo words, Companions near, List<Integer> expected) {
    TensorInfo scales = near.require("weight_scale", why(words));
    rules.requireMethod(words, QuantizationRules.COMPRESSED);
    if (words.dtype() == SafetensorsDtype.U8 && near.find("weight_global_scale") == null) {
      return BlockWeights.mxfp4(words, scales);
    }
    if (words.dtype() == SafetensorsDtype.U8) {
      throw StoredWeight.mismatch(words, "expected I32, got U8 (NVFP4 is not supported)");
    }
    Companions.matrix(words, List.of(SafetensorsDtype.I32));
    Companions.typed(scales, PlainWeights.FLOATS);
    int rows = Math.toIntExact(words.dim(0));
    int rowWords = Math.toIntExact(words.dim(1));
    int wanted = expected.size() == 2 ? expected.get(1) : 0;
    int bits = bits(wanted, rowWords);
    boolean fits = Math.ceilDiv(wanted, Integer.SIZE / bits) == rowWords;
    int cols = fits ? wanted : Math.multiplyExact(rowWords, Integer.SIZE / bits);
    PackedIntLayout layout =
        new PackedIntLayout(
            rows, cols, bits, groupSize(scales, rows, cols), PlainWeights.format(scales));
    List<TensorInfo> tensors = new ArrayList<>(List.of(words, scales));
    TensorInfo zeros = optional(near, "weight_zero_point", tensors);
    TensorInfo index = optional(near, "weight_g_idx", tensors);
    TensorInfo shape = optional(near, "weight_shape", tensors);
    if (zeros != null) {
      Companions.shaped(Companions.typed(zeros, List.of(SafetensorsDtype.I32)), layout.zeroShape());
    } else {
      rules.requireSymmetric(words);
    }
    if (index != null) {
      Companions.shaped(Companions.typed(index, INTEGERS.subList(1, 2)), List.of(cols));
    } else if (layout.groups() > 1) {
      rules.requireNoOrder(words);
    }
    return WordWeights.repacked(
        layout,
        tensors,
        index != null,
        source -> {
          check(words, shape, rows, cols, source);
          return WeightMatrix.packedInt(
              layout,
              source.of(words),
              scales(scales, rows, source),
              zeros == null ? null : source.of(zeros),
              index == null ? null : order(source.of(index), cols));
        });
  }

  /**
   * The width of integers that fill the words of a row; where one word holds few columns either
   * way, the one that the configuration names first.
   */
  private int bits(int cols, int rowWords) {
    List<Integer> widths = rules.integerBits();
    for (int bits : widths) {
      if (Math.ceilDiv(cols, Integer.SIZE / bits) == rowWords) {
        return bits;
      }
    }
    return widths.getFirst();
  }

  /** The group index, or null where it was left at -1: the columns are in their order. */
  private static @Nullable MemorySegment order(MemorySegment index, int cols) {
    for (int c = 0; c < cols; c++) {
      if (index.get(INT, (long) c * Integer.BYTES) == -1) {
        return null;
      }
    }
    return index;
  }

  private static void check(
      TensorInfo words,
      @Nullable TensorInfo shape,
      int rows,
      int cols,
      StoredWeight.Source source) {
    if (shape == null) {
      return;
    }
    Companions.shaped(Companions.typed(shape, INTEGERS), List.of(2));
    MemorySegment stored = source.of(shape);
    long storedRows = PlainWeights.integer(shape, 0, stored);
    long storedCols = PlainWeights.integer(shape, 1, stored);
    if (storedRows != rows || storedCols != cols) {
      throw StoredWeight.mismatch(
          words,
          "expected ["
              + rows
              + ", "
              + cols
              + "], got ["
              + storedRows
              + ", "
              + storedCols
              + "] in weight_shape");
    }
  }

  /** The linear of these bytes. */
  StoredWeight bytes(TensorInfo tensor, Companions near) {
    Companions.matrix(tensor, List.of(SafetensorsDtype.I8));
    TensorInfo scales =
        Companions.typed(near.require("weight_scale", why(tensor)), PlainWeights.FLOATS);
    int rows = Math.toIntExact(tensor.dim(0));
    int cols = Math.toIntExact(tensor.dim(1));
    Int8Layout layout =
        new Int8Layout(rows, cols, groupSize(scales, rows, cols), PlainWeights.format(scales));
    List<TensorInfo> tensors = new ArrayList<>(List.of(tensor, scales));
    TensorInfo zeros = optional(near, "weight_zero_point", tensors);
    if (zeros != null) {
      Companions.shaped(Companions.typed(zeros, List.of(SafetensorsDtype.I8)), layout.zeroShape());
    } else {
      rules.requireSymmetric(tensor);
    }
    long bytes = layout.weightBytes() + layout.scaleBytes();
    return new StoredWeight(
        PlainWeights.shape(tensor),
        WeightFormat.INT8,
        List.copyOf(tensors),
        bytes + (zeros == null ? 0 : layout.zeroBytes()),
        source ->
            WeightMatrix.int8(
                layout,
                source.of(tensor),
                scales(scales, rows, source),
                zeros == null ? null : source.of(zeros),
                null));
  }

  private static String why(TensorInfo tensor) {
    return "the tensor " + Text.quote(tensor.name()) + " needs it";
  }

  private static @Nullable TensorInfo optional(
      Companions near, String leaf, List<TensorInfo> tensors) {
    TensorInfo tensor = near.find(leaf);
    if (tensor != null) {
      tensors.add(tensor);
    }
    return tensor;
  }

  private int groupSize(TensorInfo scales, int rows, int cols) {
    if (scales.numElements() == 1 || scales.hasShape(rows) || scales.hasShape(rows, 1)) {
      return cols;
    }
    if (scales.rank() != 2 || scales.dim(0) != rows) {
      throw StoredWeight.mismatch(
          scales,
          "expected [1], ["
              + rows
              + ", 1] or ["
              + rows
              + ", groups], got "
              + PlainWeights.shape(scales));
    }
    return rules.groupSize(scales, cols, Math.toIntExact(scales.dim(1)));
  }

  private static MemorySegment scales(TensorInfo scales, int rows, StoredWeight.Source source) {
    return scales.numElements() == 1
        ? PlainWeights.repeated(scales, rows, source)
        : source.scales(scales);
  }
}
