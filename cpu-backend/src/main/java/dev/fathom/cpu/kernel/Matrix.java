package dev.fathom.cpu.kernel;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.LargePageArena;
import dev.fathom.backend.WeightPlacement;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.Int4Layout;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.RowReader;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A weight matrix [R, C] as the kernels stream it, one class a format: {@link RowMatrix} where the
 * stored bytes are read in place, {@link Bf16Panels} and {@link IntegerPanels} where they were
 * repacked.
 *
 * <p>A product element depends on its row and its vector alone: multiplying one vector or many, all
 * rows or some, gives the same bits.
 *
 * <p>Immutable; any number of threads may multiply at once.
 */
public abstract sealed class Matrix permits RowMatrix, Bf16Panels, IntegerPanels {

  private static final long ALIGNMENT = 64;

  private final int rows;
  private final int cols;

  Matrix(int rows, int cols) {
    this.rows = rows;
    this.cols = cols;
  }

  /**
   * Returns the kernel view of a stored matrix. Of what {@link #repacks} tells the weights are
   * copied; of all else the stored bytes are read, which must stay.
   *
   * @param placement whether weights may be copied that can be read where they lie
   * @param mode whether integers may meet rounded activations
   * @param allocator memory of copies
   * @param sharing who copies the panels of a matrix
   */
  public static Matrix of(
      WeightMatrix source,
      WeightPlacement placement,
      ActivationMode mode,
      SegmentAllocator allocator,
      Sharing sharing) {
    return switch (source.format()) {
      case F32 -> new F32Matrix(source);
      case BF16 ->
          repacks(source.format(), source.rows(), placement)
              ? Bf16Panels.of(source, allocator, sharing)
              : new Bf16Matrix(source.rows(), source.cols(), source.data());
      case F16 -> F16Matrix.isFinite(source.data()) ? new F16Matrix(source) : decoded(source);
      case FP8_E4M3 -> fp8(source);
      case MXFP4 -> Mxfp4Matrix.fits(source) ? new Mxfp4Matrix(source) : decoded(source);
      case INT8, INT4 -> integers(source, mode, allocator, sharing);
    };
  }

  /** Returns the kernel view of a stored matrix, made on the calling thread. */
  public static Matrix of(
      WeightMatrix source,
      WeightPlacement placement,
      ActivationMode mode,
      SegmentAllocator allocator) {
    return of(source, placement, mode, allocator, Sharing.ALONE);
  }

  private static Matrix decoded(WeightMatrix source) {
    return new DecodedMatrix(source.rows(), source.cols(), source::decodeRow);
  }

  private static Matrix fp8(WeightMatrix source) {
    BlockScaleLayout layout = source.layout();
    return layout != null && Fp8Matrix.fits(layout) && !Fp8Matrix.hasNan(source)
        ? Fp8Matrix.of(source, layout)
        : decoded(source);
  }

  private static Matrix integers(
      WeightMatrix source, ActivationMode mode, SegmentAllocator allocator, Sharing sharing) {
    if (source.groupIndex() == null) {
      try (Arena temporary = LargePageArena.open()) {
        Integers stored = new StoredIntegers(source.repack(temporary));
        if (mode != ActivationMode.FLOAT && IntegerPanels.fits(stored)) {
          return IntegerPanels.of(stored, allocator, sharing);
        }
        if (Int8Matrix.fits(stored)) {
          return Int8Matrix.of(stored, allocator);
        }
      }
    }
    WeightMatrix own = source.repack(allocator);
    return decoded(own == source ? copy(source, allocator) : own);
  }

  private static WeightMatrix copy(WeightMatrix source, SegmentAllocator allocator) {
    MemorySegment data = copy(source.data(), allocator);
    MemorySegment scales = copy(Objects.requireNonNull(source.scales()), allocator);
    MemorySegment zeros = copyOrNull(source.zeroPoints(), allocator);
    MemorySegment index = copyOrNull(source.groupIndex(), allocator);
    return Objects.requireNonNull(source.packing()) instanceof Int4Layout layout
        ? WeightMatrix.int4(layout, data, scales, zeros, index)
        : WeightMatrix.int8((Int8Layout) source.packing(), data, scales, zeros, index);
  }

  private static @Nullable MemorySegment copyOrNull(
      @Nullable MemorySegment source, SegmentAllocator allocator) {
    return source == null ? null : copy(source, allocator);
  }

  private static MemorySegment copy(MemorySegment source, SegmentAllocator allocator) {
    return allocator.allocate(source.byteSize(), ALIGNMENT).copyFrom(source);
  }

  /** Returns whether {@link #of} copies the weights of a matrix, so that its source may go. */
  public static boolean repacks(WeightFormat format, int rows, WeightPlacement placement) {
    return switch (format) {
      case INT8, INT4 -> true;
      case BF16 -> placement == WeightPlacement.PACKED && Bf16Panels.fits(rows);
      case F32, F16, FP8_E4M3, MXFP4 -> false;
    };
  }

  /** Returns the bytes that {@link #of} allocates for a matrix of bfloat16 that it copies. */
  public static long bf16Bytes(int rows, int cols) {
    return Bf16Panels.bytes(rows, cols);
  }

  /**
   * Returns an upper bound of the bytes that {@link #of} allocates for a matrix of 8-bit or 4-bit
   * integers whose groups have at least 32 columns.
   */
  public static long integerBytes(int bits, int rows, int cols) {
    return IntegerPanels.bytes(bits, rows, cols);
  }

  /** Returns R. */
  public final int rows() {
    return rows;
  }

  /** Returns C. */
  public final int cols() {
    return cols;
  }

  /** Returns the floats of scratch of a thread that multiplies matrices of so many columns. */
  public static int scratchLen(int cols) {
    int panels = Math.max(Bf16Panels.scratch(cols), IntegerPanels.scratch(cols));
    return Math.max(Tile.scratchLen(cols), panels);
  }

  /**
   * Returns the order of the matrices of a format, but for those that no kernel of the format takes
   * as they are: their order is {@link Order#NATURAL}.
   */
  public static Order order(WeightFormat format) {
    return switch (format) {
      case F32 -> Order.NATURAL;
      case BF16 -> Order.PAIRS;
      case F16 -> Order.HALVES;
      case FP8_E4M3 -> Order.QUADS;
      case MXFP4 -> Order.OCTETS;
      case INT8 -> Order.BYTES_8;
      case INT4 -> Order.BYTES_4;
    };
  }

  /** Returns the order in which {@link #multiply} wants its vectors. */
  public abstract Order order();

  /**
   * Returns what reads rows as float32 in natural order.
   *
   * @param source the matrix that this is a view of; it is kept where this does not own a copy
   */
  public RowReader reader(WeightMatrix source) {
    return source::decodeRow;
  }

  /** Returns how the rows lie that {@link #bf16Stored} returns or {@link #decodeBf16} writes. */
  public Bf16Layout bf16Layout() {
    return Bf16Layout.ROWS;
  }

  /** Returns all rows if they lie in native memory as bfloat16, or null. */
  public @Nullable MemorySegment bf16Stored() {
    return null;
  }

  /**
   * Writes rows as bfloat16, rounded to nearest and ties away from zero; not for matrices that have
   * {@link #bf16Stored}.
   *
   * @param from first row, a multiple of 64
   * @param to end of the rows, at most 64 further on
   * @param out native memory for 64 rows of columns that are filled up to a multiple of 32
   * @param scratch {@link #scratchLen} floats that belong to this thread
   */
  public abstract void decodeBf16(int from, int to, MemorySegment out, float[] scratch);

  /** Returns this matrix in a form that is read row by row, with float32 activations. */
  public abstract RowMatrix rowMajor(SegmentAllocator allocator);

  /**
   * Computes out[outOff + i * outStride + r] = row r * vector (first + i) for i in [0, n) and r in
   * [from, to).
   *
   * @param from first row
   * @param to end of the rows
   * @param in vectors of C elements in {@link #order()}
   * @param first first vector
   * @param n vectors
   * @param out result
   * @param outOff where row 0 of the first vector would go
   * @param outStride elements from one vector's results to the next one's
   * @param scratch {@link #scratchLen} floats that belong to this thread
   */
  public abstract void multiply(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch);
}
