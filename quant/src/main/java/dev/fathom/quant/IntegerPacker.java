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
  // Taking the offset from a byte turns its highest bit over.
  private static final int OFFSETS_8 = 0x80808080;

  private IntegerPacker() {}

  /**
   * The matrix in row-major form: {@link Int4Layout} or {@link Int8Layout} by its bits. A matrix
   * that has this form already is returned as it is; else everything is copied, so that the source
   * may be closed. Zero points that are all 2^(bits-1), as symmetric GPTQ files have them, are left
   * out.
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
    if (from instanceof PackedIntStorage packed && isUnpadded(packed.layout())) {
      data.copyFrom(packed.data());
    } else {
      byte[] pairs = new byte[layout.rowBytes()];
      forEachRow(
          from,
          (r, codes, off) ->
              write(inPairs(codes, off, layout.cols(), pairs), data, layout.byteIndex(r, 0)));
    }
    MemorySegment zeros = rowMajorZeros(from, layout, 0, allocator);
    MemorySegment scales = rowMajorScales(from, allocator);
    return new Int4Storage(layout, data, scales, zeros, copy(from.groupIndex(), allocator));
  }

  /** Returns whether rows are whole words: then they have the bits of row-major ones. */
  private static boolean isUnpadded(PackedIntLayout layout) {
    return layout.cols() % layout.perWord() == 0;
  }

  /** Writes codes of 4 bits, two in a byte, the first one low. */
  private static byte[] inPairs(byte[] codes, int off, int cols, byte[] pairs) {
    for (int i = 0; i < cols / 2; i++) {
      pairs[i] = (byte) (codes[off + 2 * i] | codes[off + 2 * i + 1] << 4);
    }
    if (cols % 2 != 0) {
      pairs[cols / 2] = codes[off + cols - 1];
    }
    return pairs;
  }

  private static Int8Storage rowMajor8(
      IntegerStorage from, Int8Layout layout, SegmentAllocator allocator) {
    MemorySegment data = allocator.allocate(layout.weightBytes());
    if (from instanceof PackedIntStorage packed && isUnpadded(packed.layout())) {
      int[] words = new int[packed.layout().rowWords()];
      for (int r = 0; r < layout.rows(); r++) {
        long at = layout.byteIndex(r, 0);
        MemorySegment.copy(packed.data(), LittleEndian.INT, at, words, 0, words.length);
        for (int i = 0; i < words.length; i++) {
          words[i] ^= OFFSETS_8;
        }
        MemorySegment.copy(words, 0, data, LittleEndian.INT, at, words.length);
      }
    } else {
      byte[] stored = new byte[layout.cols()];
      forEachRow(
          from,
          (r, codes, off) -> {
            for (int c = 0; c < stored.length; c++) {
              stored[c] = (byte) (codes[off + c] - Int8Storage.OFFSET);
            }
            write(stored, data, layout.byteIndex(r, 0));
          });
    }
    MemorySegment zeros = rowMajorZeros(from, layout, Int8Storage.OFFSET, allocator);
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
    MemorySegment data = allocator.allocate(layout.weightBytes());
    MemorySegment zeros = zeroed(layout.zeroBytes(), allocator);
    MemorySegment scales = allocator.allocate(layout.scaleBytes());
    int cols = layout.cols();
    byte[] band = new byte[Math.multiplyExact(IntegerStorage.BAND, cols)];
    for (int first = 0; first < layout.rows(); first += IntegerStorage.BAND) {
      from.bandCodes(first, IntegerStorage.BAND, band);
      for (int c = 0; c < cols; c++) {
        int word = 0;
        for (int i = 0; i < IntegerStorage.BAND; i++) {
          word |= band[i * cols + c] << AwqLayout.shift(i);
        }
        data.setAtIndex(LittleEndian.INT, layout.wordIndex(first, c), word);
      }
    }
    for (int r = 0; r < layout.rows(); r++) {
      for (int g = 0; g < layout.groups(); g++) {
        or(zeros, layout.zeroIndex(r, g), from.zero(r, g) << AwqLayout.shift(r));
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
    MemorySegment data = allocator.allocate(layout.weightBytes());
    int mask = (1 << layout.bits()) - 1;
    forEachRow(
        from,
        (r, codes, off) -> {
          for (int c = 0; c < layout.cols(); c += layout.perWord()) {
            int word = 0;
            for (int j = Math.min(layout.perWord(), layout.cols() - c) - 1; j >= 0; j--) {
              word |= (codes[off + c + j] & mask) << layout.shift(j);
            }
            data.setAtIndex(LittleEndian.INT, layout.wordIndex(r, c), word);
          }
        });
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

  private static boolean isSymmetric(IntegerStorage from) {
    if (from.zeroPoints() == null) {
      return true;
    }
    int middle = 1 << (from.layout().bits() - 1);
    for (int r = 0; r < from.rows(); r++) {
      for (int g = 0; g < from.layout().groups(); g++) {
        if (from.zero(r, g) != middle) {
          return false;
        }
      }
    }
    return true;
  }

  /** Takes the codes of row r, which lie from {@code off}. */
  @FunctionalInterface
  private interface RowTaker {
    void take(int r, byte[] codes, int off);
  }

  private static void forEachRow(IntegerStorage from, RowTaker taker) {
    int rows = from.rows();
    int cols = from.cols();
    byte[] band = new byte[Math.multiplyExact(IntegerStorage.BAND, cols)];
    for (int first = 0; first < rows; first += IntegerStorage.BAND) {
      int count = Math.min(IntegerStorage.BAND, rows - first);
      from.bandCodes(first, count, band);
      for (int i = 0; i < count; i++) {
        taker.take(first + i, band, i * cols);
      }
    }
  }

  private static void write(byte[] row, MemorySegment data, long at) {
    MemorySegment.copy(row, 0, data, ValueLayout.JAVA_BYTE, at, row.length);
  }

  /** Zero points minus an offset, one byte each, [rows, groups]; null for a symmetric matrix. */
  private static @Nullable MemorySegment rowMajorZeros(
      IntegerStorage from, IntegerLayout layout, int offset, SegmentAllocator allocator) {
    if (isSymmetric(from)) {
      return null;
    }
    MemorySegment zeros = allocator.allocate(layout.zeroBytes());
    for (int r = 0; r < layout.rows(); r++) {
      for (int g = 0; g < layout.groups(); g++) {
        byte stored = (byte) (from.zero(r, g) - offset);
        zeros.set(ValueLayout.JAVA_BYTE, (long) r * layout.groups() + g, stored);
      }
    }
    return zeros;
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
