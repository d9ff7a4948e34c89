package dev.fathom.quantization;

import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.quant.AwqLayout;
import dev.fathom.quant.Bf16;
import dev.fathom.quant.BlockFp8Quantizer;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.Int4Quantizer;
import dev.fathom.quant.Int4Recipe;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.Int8Quantizer;
import dev.fathom.quant.IntegerPacker;
import dev.fathom.quant.PackedIntLayout;
import dev.fathom.quant.RowReader;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import dev.fathom.quant.WeightSearch;
import dev.fathom.quant.ZeroPoints;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * How a weight lies in the target: which tensors, and how their bytes are made of its rows. The
 * tensors' sizes are known before any byte is read.
 */
sealed interface TargetForm {

  /** The tensors of a weight {@code X.weight}, in the order in which they are made. */
  List<TensorSpec> tensors(String weight);

  /**
   * Makes the bytes of all tensors.
   *
   * @param rows gives the float32 rows, rising
   * @param search how integers are chosen, where they have a choice
   * @param arena owns the result
   */
  List<MemorySegment> make(RowReader rows, WeightSearch search, Arena arena);

  /** The format that the linear then has. */
  WeightFormat format();

  private static String stem(String weight) {
    String suffix = "weight";
    return weight.endsWith("." + suffix)
        ? weight.substring(0, weight.length() - suffix.length())
        : weight + ".";
  }

  private static TensorSpec spec(String name, SafetensorsDtype dtype, List<Integer> shape) {
    return TensorSpec.of(name, dtype, shape.stream().mapToLong(Integer::longValue).toArray());
  }

  private static SegmentAllocator aligned(Arena arena) {
    return (bytes, alignment) -> arena.allocate(bytes, Math.max(alignment, Long.BYTES));
  }

  /**
   * Floats of the same type as before, or float32 where factors that no short type holds were
   * multiplied in.
   *
   * @param shape dimensions as stored
   * @param dtype F32, F16 or BF16
   */
  record Floats(List<Long> shape, SafetensorsDtype dtype) implements TargetForm {

    private static final ValueLayout.OfShort SHORT =
        ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
        ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Copies the shape. */
    public Floats {
      shape = List.copyOf(shape);
    }

    @Override
    public List<TensorSpec> tensors(String weight) {
      return List.of(
          TensorSpec.of(weight, dtype, shape.stream().mapToLong(Long::longValue).toArray()));
    }

    @Override
    public List<MemorySegment> make(RowReader rows, WeightSearch search, Arena arena) {
      int cols = Math.toIntExact(shape.getLast());
      int numRows = Math.toIntExact(shape.size() == 1 ? 1 : shape.getFirst());
      int width = dtype.bits() / Byte.SIZE;
      MemorySegment out = arena.allocate(Math.max(1, (long) numRows * cols * width), Long.BYTES);
      float[] row = new float[cols];
      long at = 0;
      for (int r = 0; r < numRows; r++) {
        rows.read(r, row, 0);
        for (int c = 0; c < cols; c++, at += width) {
          switch (dtype) {
            case BF16 -> out.set(SHORT, at, Bf16.encode(row[c]));
            case F16 -> out.set(SHORT, at, Float.floatToFloat16(row[c]));
            default -> out.set(FLOAT, at, row[c]);
          }
        }
      }
      return List.of(out.asSlice(0, at));
    }

    @Override
    public WeightFormat format() {
      return switch (dtype) {
        case BF16 -> WeightFormat.BF16;
        case F16 -> WeightFormat.F16;
        default -> WeightFormat.F32;
      };
    }
  }

  /**
   * E4M3 with a float32 scale for each block of 128 x 128: {@code X.weight}, {@code
   * X.weight_scale_inv} (spec of DeepSeek-V3's files).
   */
  record Fp8(int rows, int cols) implements TargetForm {

    static final int BLOCK = 128;

    private BlockScaleLayout layout() {
      return BlockScaleLayout.square(rows, cols, BLOCK);
    }

    @Override
    public List<TensorSpec> tensors(String weight) {
      BlockScaleLayout layout = layout();
      return List.of(
          TensorSpec.of(weight, SafetensorsDtype.F8_E4M3, rows, cols),
          TensorSpec.of(
              weight + "_scale_inv", SafetensorsDtype.F32, layout.scaleRows(), layout.scaleCols()));
    }

    @Override
    public List<MemorySegment> make(RowReader reader, WeightSearch search, Arena arena) {
      BlockScaleLayout layout = layout();
      MemorySegment data = aligned(arena).allocate(layout.weightBytes());
      MemorySegment scales = aligned(arena).allocate(layout.scaleBytes());
      BlockFp8Quantizer.quantize(reader, layout, data, scales);
      return List.of(data, scales);
    }

    @Override
    public WeightFormat format() {
      return WeightFormat.FP8_E4M3;
    }
  }

  /**
   * compressed-tensors' {@code pack-quantized}: {@code X.weight_packed}, {@code X.weight_scale}
   * (BF16), {@code X.weight_shape} and with zero points {@code X.weight_zero_point}.
   *
   * @param bits 4 or 8
   * @param groupSize columns of a group; cols for one scale a row
   */
  record Packed(int rows, int cols, int bits, int groupSize, ZeroPoints zeros)
      implements TargetForm {

    private PackedIntLayout layout() {
      return new PackedIntLayout(rows, cols, bits, groupSize, WeightFormat.BF16);
    }

    @Override
    public List<TensorSpec> tensors(String weight) {
      PackedIntLayout layout = layout();
      String stem = stem(weight);
      List<TensorSpec> tensors = new ArrayList<>();
      tensors.add(spec(stem + "weight_packed", SafetensorsDtype.I32, layout.weightShape()));
      tensors.add(spec(stem + "weight_scale", SafetensorsDtype.BF16, layout.scaleShape()));
      tensors.add(TensorSpec.of(stem + "weight_shape", SafetensorsDtype.I64, 2));
      if (zeros == ZeroPoints.ASYMMETRIC) {
        tensors.add(spec(stem + "weight_zero_point", SafetensorsDtype.I32, layout.zeroShape()));
      }
      return tensors;
    }

    @Override
    public List<MemorySegment> make(RowReader reader, WeightSearch search, Arena arena) {
      SegmentAllocator allocator = aligned(arena);
      WeightMatrix integers =
          bits == 4
              ? Int4Quantizer.quantize(
                  reader,
                  rows,
                  cols,
                  new Int4Recipe(groupSize, zeros, WeightFormat.BF16),
                  search,
                  allocator)
              : Int8Quantizer.quantize(
                  reader, new Int8Layout(rows, cols, groupSize, WeightFormat.BF16), allocator);
      WeightMatrix packed = IntegerPacker.compressedTensors(integers, allocator);
      MemorySegment shape = arena.allocate(2 * Long.BYTES, Long.BYTES);
      ValueLayout.OfLong layout = ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);
      shape.setAtIndex(layout, 0, rows);
      shape.setAtIndex(layout, 1, cols);
      List<MemorySegment> segments = new ArrayList<>();
      segments.add(packed.data());
      segments.add(Objects.requireNonNull(packed.scales()));
      segments.add(shape);
      if (zeros == ZeroPoints.ASYMMETRIC) {
        segments.add(Objects.requireNonNull(packed.zeroPoints()));
      }
      return segments;
    }

    @Override
    public WeightFormat format() {
      return bits == 4 ? WeightFormat.INT4 : WeightFormat.INT8;
    }
  }

  /** AWQ's {@code gemm}: {@code X.qweight}, {@code X.qzeros}, {@code X.scales} (F16). */
  record Awq(int rows, int cols, int groupSize) implements TargetForm {

    /** Whether the layout can hold a matrix. */
    static boolean fits(int rows, int cols, int groupSize) {
      return rows % 8 == 0 && cols % groupSize == 0;
    }

    @Override
    public List<TensorSpec> tensors(String weight) {
      AwqLayout layout = AwqLayout.of(rows, cols, groupSize);
      String stem = stem(weight);
      return List.of(
          spec(stem + "qweight", SafetensorsDtype.I32, layout.weightShape()),
          spec(stem + "qzeros", SafetensorsDtype.I32, layout.zeroShape()),
          spec(stem + "scales", SafetensorsDtype.F16, layout.scaleShape()));
    }

    @Override
    public List<MemorySegment> make(RowReader reader, WeightSearch search, Arena arena) {
      SegmentAllocator allocator = aligned(arena);
      Int4Recipe recipe = new Int4Recipe(groupSize, ZeroPoints.ASYMMETRIC, WeightFormat.F16);
      WeightMatrix integers = Int4Quantizer.quantize(reader, rows, cols, recipe, search, allocator);
      WeightMatrix packed = IntegerPacker.awq(integers, allocator);
      return List.of(
          packed.data(),
          Objects.requireNonNull(packed.zeroPoints()),
          Objects.requireNonNull(packed.scales()));
    }

    @Override
    public WeightFormat format() {
      return WeightFormat.INT4;
    }
  }
}
