package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Moves integers with scales from one packing to another without changing them: the result decodes
 * to the same floats, bit for bit.
 *
 * <p>Row-major forms ({@link Int4Layout}, {@link Int8Layout}) are for kernels; AWQ and
 * compressed-tensors are for files that other engines read. The segments of the result hold what
 * the published tensors hold: {@code data()} is qweight or weight_packed, {@code zeroPoints()}
 * qzeros or weight_zero_point, {@code scales()} scales or weight_scale, {@code groupIndex()}
 * weight_g_idx, with the dimensions that the layout names.
 *
 * <p>Threads: stateless; a call reads its source once, in one thread.
 */
public final class IntegerPacker {
  private IntegerPacker() {}

  /**
   * The matrix in row-major form: {@link Int4Layout} or {@link Int8Layout} by its bits. A matrix
   * that has this form already is returned as it is; else everything is copied, so that the source
   * may be closed.
   *
   * @param allocator gives the memory of the result
   * @throws IllegalArgumentException if the matrix is neither INT4 nor INT8
   */
  public static WeightMatrix rowMajor(WeightMatrix matrix, SegmentAllocator allocator) {
    IntegerStorage from = integers(matrix);
    if (from instanceof Int4Storage || from instanceof Int8Storage) {
      return matrix;
    }
    IntegerLayout old = from.layout();
    return old.bits() == 4
        ? WeightMatrix.of(
            rowMajor4(
                from,
                new Int4Layout(old.rows(), old.cols(), old.groupSize(), old.scaleFormat()),
                allocator))
        : WeightMatrix.of(
            rowMajor8(
                from,
                new Int8Layout(old.rows(), old.cols(), old.groupSize(), old.scaleFormat()),
                allocator));
  }

  private static Int4Storage rowMajor4(
      IntegerStorage from, Int4Layout layout, SegmentAllocator allocator) {
    MemorySegment data = allocator.allocate(layout.weightBytes());
    for (int r = 0; r < layout.rows(); r++) {
      for (int c = 0; c < layout.cols(); c += 2) {
        int high = c + 1 < layout.cols() ? from.code(r, c + 1) : 0;
        byte pair = (byte) (from.code(r, c) | high << 4);
        data.set(ValueLayout.JAVA_BYTE, layout.byteIndex(r, c), pair);
      }
    }
    MemorySegment zeros = null;
    if (from.zeroPoints() != null) {
      zeros = allocator.allocate(layout.zeroBytes());
      for (int r = 0; r < layout.rows(); r++) {
        for (int g = 0; g < layout.groups(); g++) {
          zeros.set(ValueLayout.JAVA_BYTE, layout.scaleIndex(r, g), (byte) from.zero(r, g));
        }
      }
    }
    MemorySegment scales = rowMajorScales(from, allocator);
    return new Int4Storage(layout, data, scales, zeros, copy(from.groupIndex(), allocator));
  }

  private static Int8Storage rowMajor8(
      IntegerStorage from, Int8Layout layout, SegmentAllocator allocator) {
    MemorySegment data = allocator.allocate(layout.weightBytes());
    for (int r = 0; r < layout.rows(); r++) {
      for (int c = 0; c < layout.cols(); c++) {
        byte stored = (byte) (from.code(r, c) - Int8Storage.OFFSET);
        data.set(ValueLayout.JAVA_BYTE, layout.byteIndex(r, c), stored);
      }
    }
    MemorySegment zeros = null;
    if (from.zeroPoints() != null) {
      zeros = allocator.allocate(layout.zeroBytes());
      for (int r = 0; r < layout.rows(); r++) {
        for (int g = 0; g < layout.groups(); g++) {
          byte stored = (byte) (from.zero(r, g) - Int8Storage.OFFSET);
          zeros.set(ValueLayout.JAVA_BYTE, layout.scaleIndex(r, g), stored);
        }
      }
    }
    MemorySegment scales = rowMajorScales(from, allocator);
    return new Int8Storage(layout, data, scales, zeros, copy(from.groupIndex(), allocator));
  }

  /**
   * The matrix as AWQ checkpoints store it ({@code gemm}); a symmetric matrix gets zero points of
   * 8.
   *
   * @param allocator gives the memory of the result
   * @throws IllegalArgumentException if the matrix is not INT4, has a group index, its rows are no
   *     multiple of 8 or its columns no multiple of the group
   */
  public static WeightMatrix awq(WeightMatrix matrix, SegmentAllocator allocator) {
    IntegerStorage from = integers(matrix);
    IntegerLayout old = from.layout();
    Checks.equal("bits", 4, old.bits());
    if (from.groupIndex() != null) {
      throw new IllegalArgumentException("must have no group index: format=awq");
    }
    AwqLayout layout = new AwqLayout(old.rows(), old.cols(), old.groupSize(), old.scaleFormat());
    MemorySegment data = zeroed(layout.weightBytes(), allocator);
    MemorySegment zeros = zeroed(layout.zeroBytes(), allocator);
    MemorySegment scales = allocator.allocate(layout.scaleBytes());
    for (int r = 0; r < layout.rows(); r++) {
      int shift = AwqLayout.shift(r);
      for (int c = 0; c < layout.cols(); c++) {
        or(data, layout.wordIndex(r, c), from.code(r, c) << shift);
      }
      for (int g = 0; g < layout.groups(); g++) {
        or(zeros, layout.zeroIndex(r, g), from.zero(r, g) << shift);
        copyScale(from, r, g, scales, layout.scaleIndex(r, g));
      }
    }
    return WeightMatrix.awq(layout, data, zeros, scales);
  }

  /**
   * The matrix as compressed-tensors checkpoints store it ({@code pack-quantized}); padding is zero
   * bits, a symmetric matrix stays without zero points.
   *
   * @param allocator gives the memory of the result
   * @throws IllegalArgumentException if the matrix is neither INT4 nor INT8
   */
  public static WeightMatrix compressedTensors(WeightMatrix matrix, SegmentAllocator allocator) {
    IntegerStorage from = integers(matrix);
    IntegerLayout old = from.layout();
    PackedIntLayout layout =
        new PackedIntLayout(old.rows(), old.cols(), old.bits(), old.groupSize(), old.scaleFormat());
    MemorySegment data = zeroed(layout.weightBytes(), allocator);
    for (int r = 0; r < layout.rows(); r++) {
      for (int c = 0; c < layout.cols(); c++) {
        or(data, layout.wordIndex(r, c), from.code(r, c) << layout.shift(c));
      }
    }
    MemorySegment zeros = null;
    if (from.zeroPoints() != null) {
      zeros = zeroed(layout.zeroBytes(), allocator);
      for (int r = 0; r < layout.rows(); r++) {
        for (int g = 0; g < layout.groups(); g++) {
          or(zeros, layout.zeroIndex(r, g), from.zero(r, g) << layout.shift(r));
        }
      }
    }
    MemorySegment scales = rowMajorScales(from, allocator);
    return WeightMatrix.packedInt(layout, data, scales, zeros, copy(from.groupIndex(), allocator));
  }

  private static IntegerStorage integers(WeightMatrix matrix) {
    if (matrix.storage() instanceof IntegerStorage integers) {
      return integers;
    }
    throw new IllegalArgumentException("must be INT4 or INT8: format=" + matrix.format());
  }

  private static MemorySegment rowMajorScales(IntegerStorage from, SegmentAllocator allocator) {
    IntegerLayout layout = from.layout();
    MemorySegment scales = allocator.allocate(layout.scaleBytes());
    for (int r = 0; r < layout.rows(); r++) {
      for (int g = 0; g < layout.groups(); g++) {
        copyScale(from, r, g, scales, (long) r * layout.groups() + g);
      }
    }
    return scales;
  }

  private static void copyScale(
      IntegerStorage from, int r, int g, MemorySegment scales, long index) {
    LittleEndian.set(scales, from.layout().scaleFormat(), index, from.scale(r, g));
  }

  private static MemorySegment zeroed(long bytes, SegmentAllocator allocator) {
    return allocator.allocate(bytes).fill((byte) 0);
  }

  private static void or(MemorySegment words, long index, int bits) {
    words.setAtIndex(LittleEndian.INT, index, words.getAtIndex(LittleEndian.INT, index) | bits);
  }

  private static @Nullable MemorySegment copy(
      @Nullable MemorySegment segment, SegmentAllocator allocator) {
    return segment == null ? null : allocator.allocate(segment.byteSize()).copyFrom(segment);
  }
}
