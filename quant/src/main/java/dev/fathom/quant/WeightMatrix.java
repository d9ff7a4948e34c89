package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import org.jspecify.annotations.Nullable;

/**
 * An immutable view of one stored matrix [rows, cols] in any {@link WeightFormat}, row by row as
 * {@code y = W x} wants it, whatever order the checkpoint stores.
 *
 * <p>A vector (norm weight, bias) has one row. All numbers are little endian and may lie at any
 * alignment, since safetensors promises none.
 *
 * <p>Memory: the view owns nothing. The arena of whoever loaded the segments owns them and closes
 * them; after that each access throws IllegalStateException. The view hands out read-only segments
 * and never writes. Reading elements and rows allocates nothing. Threads: safe for any number of
 * readers, as far as the arena of the segments allows.
 */
public final class WeightMatrix {
  private final Storage storage;

  private WeightMatrix(Storage storage) {
    this.storage = storage;
  }

  static WeightMatrix of(Storage storage) {
    return new WeightMatrix(storage);
  }

  Storage storage() {
    return storage;
  }

  /**
   * A matrix whose elements stand for themselves.
   *
   * @param format F32, F16 or BF16
   * @param data rows · cols elements, row-major, no padding
   * @throws IllegalArgumentException if the format needs scales, a size is below 1 or the segment
   *     has another length
   */
  public static WeightMatrix dense(WeightFormat format, int rows, int cols, MemorySegment data) {
    return new WeightMatrix(new DenseStorage(format, rows, cols, data));
  }

  /**
   * A matrix of E4M3 bytes with one float32 multiplier a block, a row ({@link
   * BlockScaleLayout#perChannel}) or for all ({@link BlockScaleLayout#perTensor}).
   *
   * @param layout where elements and scales lie
   * @param data {@code layout.weightBytes()} bytes
   * @param scales {@code layout.scaleBytes()} bytes of float32; decode scales of other types first
   *     ({@link E8m0#decode(MemorySegment, MemorySegment)}, {@link Bf16}, float16)
   * @throws IllegalArgumentException if a segment has another length
   */
  public static WeightMatrix blockFp8(
      BlockScaleLayout layout, MemorySegment data, MemorySegment scales) {
    return new WeightMatrix(new BlockFp8Storage(layout, data, scales));
  }

  /**
   * A matrix of E2M1 pairs with an E8M0 scale for each 32 columns.
   *
   * @param layout where elements and scales lie
   * @param data {@code layout.weightBytes()} bytes
   * @param scales {@code layout.scaleBytes()} bytes of E8M0
   * @throws IllegalArgumentException if a segment has another length
   */
  public static WeightMatrix mxfp4(Mxfp4Layout layout, MemorySegment data, MemorySegment scales) {
    return new WeightMatrix(new Mxfp4Storage(layout, data, scales));
  }

  /**
   * A row-major matrix of 4-bit integers.
   *
   * @param layout where everything lies
   * @param data {@code layout.weightBytes()} bytes
   * @param scales {@code layout.scaleBytes()} bytes
   * @param zeroPoints {@code layout.zeroBytes()} bytes, or null for 8 everywhere
   * @param groupIndex I32 group of each column, or null for {@code c / groupSize}
   * @throws IllegalArgumentException if a segment has another length or a group does not exist
   */
  public static WeightMatrix int4(
      Int4Layout layout,
      MemorySegment data,
      MemorySegment scales,
      @Nullable MemorySegment zeroPoints,
      @Nullable MemorySegment groupIndex) {
    return new WeightMatrix(new Int4Storage(layout, data, scales, zeroPoints, groupIndex));
  }

  /**
   * A row-major matrix of signed 8-bit integers.
   *
   * @param layout where everything lies
   * @param data {@code layout.weightBytes()} bytes
   * @param scales {@code layout.scaleBytes()} bytes
   * @param zeroPoints {@code layout.zeroBytes()} signed bytes, or null for 0 everywhere
   * @param groupIndex I32 group of each column, or null for {@code c / groupSize}
   * @throws IllegalArgumentException if a segment has another length or a group does not exist
   */
  public static WeightMatrix int8(
      Int8Layout layout,
      MemorySegment data,
      MemorySegment scales,
      @Nullable MemorySegment zeroPoints,
      @Nullable MemorySegment groupIndex) {
    return new WeightMatrix(new Int8Storage(layout, data, scales, zeroPoints, groupIndex));
  }

  /**
   * A matrix of AWQ words; rows and columns are those of the linear, not of the transposed tensor.
   *
   * @param layout where everything lies
   * @param qweight {@code layout.weightBytes()} bytes
   * @param qzeros {@code layout.zeroBytes()} bytes
   * @param scales {@code layout.scaleBytes()} bytes
   * @throws IllegalArgumentException if a segment has another length
   */
  public static WeightMatrix awq(
      AwqLayout layout, MemorySegment qweight, MemorySegment qzeros, MemorySegment scales) {
    return new WeightMatrix(new AwqStorage(layout, qweight, qzeros, scales));
  }

  /**
   * A matrix of GPTQ words; rows and columns are those of the linear, not of the transposed tensor.
   *
   * @param layout where everything lies
   * @param qweight {@code layout.weightBytes()} bytes
   * @param qzeros {@code layout.zeroBytes()} bytes
   * @param scales {@code layout.scaleBytes()} bytes
   * @param groupIndex the I32 tensor g_idx, or null for {@code c / groupSize}; one that says just
   *     that is dropped
   * @throws IllegalArgumentException if a segment has another length or a group does not exist
   */
  public static WeightMatrix gptq(
      GptqLayout layout,
      MemorySegment qweight,
      MemorySegment qzeros,
      MemorySegment scales,
      @Nullable MemorySegment groupIndex) {
    return new WeightMatrix(new GptqStorage(layout, qweight, qzeros, scales, groupIndex));
  }

  /**
   * A matrix of compressed-tensors words.
   *
   * @param layout where everything lies
   * @param packed the tensor weight_packed, {@code layout.weightBytes()} bytes
   * @param scales the tensor weight_scale, {@code layout.scaleBytes()} bytes
   * @param zeroPoints the packed tensor weight_zero_point, or null for a symmetric matrix
   * @param groupIndex the I32 tensor weight_g_idx, or null for {@code c / groupSize}; one that says
   *     just that is dropped
   * @throws IllegalArgumentException if a segment has another length or a group does not exist
   */
  public static WeightMatrix packedInt(
      PackedIntLayout layout,
      MemorySegment packed,
      MemorySegment scales,
      @Nullable MemorySegment zeroPoints,
      @Nullable MemorySegment groupIndex) {
    return new WeightMatrix(new PackedIntStorage(layout, packed, scales, zeroPoints, groupIndex));
  }

  /**
   * The same matrix in the form that kernels stream: AWQ, GPTQ and compressed-tensors words become
   * {@link Int4Layout} or {@link Int8Layout}, copied, with the same decoded floats bit for bit. All
   * other matrices are returned as they are.
   *
   * @param allocator gives the memory of the copy, at whatever alignment it chooses
   */
  public WeightMatrix repack(SegmentAllocator allocator) {
    return storage instanceof IntegerStorage ? IntegerPacker.rowMajor(this, allocator) : this;
  }

  /** How the elements are stored. */
  public WeightFormat format() {
    return storage.format();
  }

  /** Rows: output features of a linear, 1 for a vector. */
  public int rows() {
    return storage.rows();
  }

  /** Columns: input features of a linear, the length of a vector. */
  public int cols() {
    return storage.cols();
  }

  /** The stored elements, read-only. */
  public MemorySegment data() {
    return storage.data();
  }

  /**
   * The scales, read-only, at any alignment, in the type and order that {@link #packing} states;
   * null for dense formats. Those of FP8 are float32.
   */
  public @Nullable MemorySegment scales() {
    return storage.scales();
  }

  /** The zero points, read-only; null where the format has none or the matrix is symmetric. */
  public @Nullable MemorySegment zeroPoints() {
    return storage.zeroPoints();
  }

  /**
   * The scale of group g of row r of an INT8 or INT4 matrix; for kernels that keep their own
   * tables.
   *
   * @throws IllegalArgumentException if the matrix is neither INT8 nor INT4
   * @throws IndexOutOfBoundsException if r or g is outside
   */
  public float scale(int r, int g) {
    return integers(r, g).scale(r, g);
  }

  /**
   * The zero point of group g of row r of an INT8 or INT4 matrix, relative to unsigned codes
   * ({@link IntegerLayout}): for 4 bits 0 to 15, for 8 bits the stored one plus 128.
   *
   * @throws IllegalArgumentException if the matrix is neither INT8 nor INT4
   * @throws IndexOutOfBoundsException if r or g is outside
   */
  public int zeroPoint(int r, int g) {
    return integers(r, g).zero(r, g);
  }

  private IntegerStorage integers(int r, int g) {
    if (!(storage instanceof IntegerStorage integers)) {
      throw new IllegalArgumentException("must be INT4 or INT8: format=" + format());
    }
    Checks.index("r", r, rows());
    Checks.index("g", g, integers.layout().groups());
    return integers;
  }

  /**
   * The group of each column, I32, read-only; null unless it differs from {@code c / groupSize}.
   */
  public @Nullable MemorySegment groupIndex() {
    return storage.groupIndex();
  }

  /** Where elements and scales of an FP8 matrix lie; null for all other formats. */
  public @Nullable BlockScaleLayout layout() {
    return storage.layout() instanceof BlockScaleLayout blocks ? blocks : null;
  }

  /** Where everything lies; null for dense formats. Two packings may share a format. */
  public @Nullable WeightLayout packing() {
    return storage.layout();
  }

  /** Bytes of elements, scales, zero points and group index together. */
  public long bytes() {
    return data().byteSize() + bytes(scales()) + bytes(zeroPoints()) + bytes(groupIndex());
  }

  private static long bytes(@Nullable MemorySegment segment) {
    return segment == null ? 0 : segment.byteSize();
  }

  /**
   * Element (r, c) as float32; for tests and rare look-ups, see {@link #decodeRow} for more.
   *
   * @throws IndexOutOfBoundsException if r or c is outside
   */
  public float get(int r, int c) {
    Checks.index("r", r, rows());
    Checks.index("c", c, cols());
    return storage.get(r, c);
  }

  /**
   * Decodes row r into {@code out[off, off + cols)}. Each element is one float32 product: of the
   * decoded byte and its multiplier, or of the integer (q - z) and its scale. Formats that are
   * stored transposed are read with a stride; {@link #repack} first where rows are read often.
   *
   * @throws IndexOutOfBoundsException if r is outside or the row does not fit
   */
  public void decodeRow(int r, float[] out, int off) {
    Checks.index("r", r, rows());
    Checks.range("out", off, cols(), out.length);
    storage.decodeRow(r, out, off);
  }

  /** Format, shape and bytes, without elements. */
  @Override
  public String toString() {
    return "WeightMatrix[" + format() + " " + rows() + "x" + cols() + ", " + bytes() + " bytes]";
  }
}
