package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.L;

import dev.fathom.quant.RowReader;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Integer weights of 8 or 4 bits, repacked for products with {@link Order#BYTES}: sums of 8 or 32
 * columns are exact integers, which are added in float32 in rising order.
 *
 * <p>A panel is 2 L rows. Its columns lie in steps of 16 bits a row, 2 columns of 8 bits or 4 of 4
 * bits, lowest column lowest. 4-bit codes and 8-bit codes of even columns lie as numbers from 0 on:
 * 8 or 128 more than they are. A step is L ints:
 *
 * <pre>
 *   int i     bit 31        16 15         0
 *            +---------------+-------------+
 *            | row L + i     | row i       |
 *            +---------------+-------------+
 * </pre>
 *
 * <p>The steps of 8 columns, 4 of 8 bits or 2 of 4, lie in as many streams: the first ones of all
 * panels in the first stream, and so on, so that the processor fetches several long runs of memory
 * at a time.
 *
 * <p>Rows and columns are filled up. Zero points are signed bytes [panel][group][2 L], and so are
 * scales in float32; those of 4 bits are float16 where all are exactly that, in the order of rows
 * of a step. A product with one row may compute its whole panel; whoever writes rows of a panel
 * reads all of it.
 */
final class IntegerPanels extends Matrix implements Integers {

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Rows of a panel. */
  static final int P = 2 * L;

  /** Columns whose steps lie in streams of their own. */
  private static final int TURN = 8;

  /** Vectors that meet a panel together. */
  private static final int TOKENS = 4;

  /** What codes of 4 bits, and of even columns of 8 bits, lie above what they are. */
  static final int MIDDLE_4 = 8;

  static final int MIDDLE_8 = 128;

  /** Blocks whose parts are summed before they are joined: they stay in the first cache. */
  private static final int PARTS = 16;

  /** Where the tables of a panel begin in the scratch, behind the results and a group's sums. */
  private static final int TABLES = (TOKENS + 1) * P;

  private final int bits;
  private final int groups;
  private final int groupSize;
  private final boolean hasZeros;
  private final boolean hasHalves;
  private final MemorySegment data;
  private final MemorySegment scales;
  private final MemorySegment zeros;
  private final int columns;
  private final int streams;
  private final int panelBytes;
  private final long streamBytes;
  private final IntegerKernel kernel;
  private final IntegerDecode decode;

  private IntegerPanels(Integers source, SegmentAllocator allocator) {
    super(source.rows(), source.cols());
    this.bits = source.bits();
    this.groups = source.groups();
    this.groupSize = source.groupSize();
    this.hasZeros = source.hasZeros();
    int blocks = Activation.blocks(cols());
    this.columns = blocks * Activation.BLOCK;
    this.streams = TURN * bits / Short.SIZE;
    this.panelBytes = columns * bits / 8 * P / streams;
    long panels = Math.ceilDiv(rows(), P);
    this.streamBytes = panels * panelBytes;
    this.data = allocator.allocate(streams * streamBytes, 64);
    this.hasHalves = bits == 4 && areHalves(source);
    int scaleBytes = hasHalves ? Short.BYTES : Float.BYTES;
    this.scales = allocator.allocate(panels * groups * P * scaleBytes, 64);
    this.zeros = allocator.allocate(hasZeros ? panels * groups * P : 0, 64);
    int blocksOfGroup = groups == 1 ? Math.max(1, blocks) : groupSize / Activation.BLOCK;
    this.kernel = new IntegerKernel(data, streamBytes, blocks, groups, blocksOfGroup);
    this.decode = new IntegerDecode(data, streamBytes, bits, columns, groups, groupSize);
  }

  /** Returns whether groups hold whole blocks of activations. */
  static boolean fits(Integers source) {
    return source.groups() == 1 || source.groupSize() % Activation.BLOCK == 0;
  }

  private static boolean areHalves(Integers source) {
    for (int r = 0; r < source.rows(); r++) {
      for (int g = 0; g < source.groups(); g++) {
        float scale = source.scale(r, g);
        // Not so for infinity and NaN, which the kernels do not widen.
        if (!(Math.abs(scale) <= Float.MAX_VALUE && half(scale) == scale)) {
          return false;
        }
      }
    }
    return true;
  }

  private static float half(float value) {
    return Float.float16ToFloat(Float.floatToFloat16(value));
  }

  /** Returns the floats of scratch for matrices of up to so many columns. */
  static int scratch(int cols) {
    int blocks = Activation.blocks(cols);
    return TABLES + 2 * blocks * P + Math.max(TOKENS * blocks, blocks + 2 * PARTS) * P;
  }

  /** Returns an upper bound of the bytes of a matrix whose groups have 32 columns or more. */
  static long bytes(int bits, int rows, int cols) {
    long padded = (long) Math.ceilDiv(rows, P) * P * Activation.blocks(cols);
    return padded * (Activation.BLOCK * bits / 8 + Float.BYTES + 1);
  }

  static IntegerPanels of(Integers source, SegmentAllocator allocator) {
    IntegerPanels panels = new IntegerPanels(source, allocator);
    int streams = panels.streams;
    int len = panels.panelBytes / Short.BYTES;
    short[] panel = new short[streams * len];
    byte[] row = new byte[Activation.blocks(source.cols()) * Activation.BLOCK];
    for (int first = 0; first < source.rows(); first += P) {
      Arrays.fill(panel, (short) 0);
      for (int i = 0; i < Math.min(P, source.rows() - first); i++) {
        source.codes(first + i, row);
        panels.interleave(row, i, panel);
        panels.putScales(source, first, i);
      }
      for (int k = 0; k < streams; k++) {
        long at = panels.firstByte(first / P) + k * panels.streamBytes;
        MemorySegment.copy(panel, k * len, panels.data, SHORT, at, len);
      }
    }
    return panels;
  }

  /** Returns the place of row i of a panel in a step of shorts. */
  private static int lane(int i) {
    return i % L * 2 + i / L;
  }

  /** Returns where a panel begins in the first stream. */
  private long firstByte(int panel) {
    return (long) panel * panelBytes;
  }

  /**
   * Returns how far behind the begin of its panel the step of column c lies.
   *
   * @param columnsOfStep 2 or 4
   * @param stream bytes from a stream to the next
   */
  static long stepByte(int c, int columnsOfStep, long stream) {
    return c / TURN * (4L * L) + c % TURN / columnsOfStep * stream;
  }

  /** Writes row i of a panel: [stream][C / 8][2 L]. */
  private void interleave(byte[] row, int i, short[] panel) {
    int perShort = Short.SIZE / bits;
    for (int c = 0; c < row.length; c += perShort) {
      int stream = c % TURN / perShort;
      int at = stream * (panel.length / streams) + c / TURN * P + lane(i);
      panel[at] =
          (short)
              (perShort == 2
                  ? ((row[c] + MIDDLE_8) & 0xFF) | row[c + 1] << 8
                  : (row[c] + MIDDLE_4)
                      | (row[c + 1] + MIDDLE_4) << 4
                      | (row[c + 2] + MIDDLE_4) << 8
                      | (row[c + 3] + MIDDLE_4) << 12);
    }
  }

  private void putScales(Integers source, int first, int i) {
    for (int g = 0; g < groups; g++) {
      long at = ((long) first / P * groups + g) * P + i;
      float scale = source.scale(first + i, g);
      if (hasHalves) {
        scales.set(SHORT, (at - i + lane(i)) * Short.BYTES, Float.floatToFloat16(scale));
      } else {
        scales.set(FLOAT, at * Float.BYTES, scale);
      }
      if (hasZeros) {
        zeros.set(ValueLayout.JAVA_BYTE, at, (byte) source.zero(first + i, g));
      }
    }
  }

  @Override
  public Order order() {
    return Order.BYTES;
  }

  @Override
  public int bits() {
    return bits;
  }

  @Override
  public int groups() {
    return groups;
  }

  @Override
  public int groupSize() {
    return groupSize;
  }

  @Override
  public boolean hasZeros() {
    return hasZeros;
  }

  @Override
  public float scale(int r, int g) {
    long first = ((long) r / P * groups + g) * P;
    return hasHalves
        ? Float.float16ToFloat(scales.get(SHORT, (first + lane(r % P)) * Short.BYTES))
        : scales.get(FLOAT, (first + r % P) * Float.BYTES);
  }

  @Override
  public int zero(int r, int g) {
    return hasZeros ? zeros.get(ValueLayout.JAVA_BYTE, ((long) r / P * groups + g) * P + r % P) : 0;
  }

  @Override
  public void codes(int r, byte[] out) {
    int perShort = Short.SIZE / bits;
    long base = firstByte(r / P) + (long) lane(r % P) * Short.BYTES;
    for (int c = 0; c < cols(); c++) {
      int word = data.get(SHORT, base + stepByte(c, perShort, streamBytes));
      out[c] = (byte) code(word, c % perShort);
    }
  }

  private int code(int word, int i) {
    if (bits == 4) {
      return ((word >>> (4 * i)) & 0xF) - MIDDLE_4;
    }
    return i == 0 ? (word & 0xFF) - MIDDLE_8 : word >> 8;
  }

  @Override
  public RowReader reader(WeightMatrix source) {
    return this::decodeRow;
  }

  @Override
  public boolean bf16InPanels() {
    return true;
  }

  @Override
  public void decodeBf16(int from, int to, MemorySegment out, float[] scratch) {
    for (int panel = from / P; panel * P < to; panel++) {
      readScales(panel, scratch);
      long at = firstByte(panel);
      long target = (long) (panel * P - from) * Integer.BYTES;
      decode.run(at, scratch, TABLES, out, target);
    }
  }

  private void decodeRow(int r, float[] out, int off) {
    byte[] codes = new byte[cols()];
    codes(r, codes);
    for (int c = 0; c < cols(); c++) {
      int g = Math.min(groups - 1, c / groupSize);
      out[off + c] = (codes[c] - zero(r, g)) * scale(r, g);
    }
  }

  @Override
  public RowMatrix rowMajor(SegmentAllocator allocator) {
    return Int8Matrix.fits(this)
        ? Int8Matrix.of(this, allocator)
        : new DecodedMatrix(rows(), cols(), this::decodeRow);
  }

  @Override
  public void multiply(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch) {
    for (int panel = from / P; panel * P < to; panel++) {
      int begin = Math.max(from, panel * P);
      int len = Math.min(to, (panel + 1) * P) - begin;
      if (!isDirect(n)) {
        readScales(panel, scratch);
      }
      for (int i = 0; i < n; i += TOKENS) {
        int m = Math.min(TOKENS, n - i);
        products(panel, in, first + i, m, scratch);
        for (int j = 0; j < m; j++) {
          int source = j * P + begin - panel * P;
          System.arraycopy(scratch, source, out, outOff + (i + j) * outStride + begin, len);
        }
      }
    }
  }

  /** Writes the scales of a panel and, behind them, its zero points. */
  private void readScales(int panel, float[] scratch) {
    int len = groups * P;
    if (hasHalves) {
      kernel.readHalves(scales, (long) panel * len * Short.BYTES, scratch, TABLES);
    } else {
      MemorySegment.copy(scales, FLOAT, (long) panel * len * Float.BYTES, scratch, TABLES, len);
    }
    if (hasZeros) {
      for (int i = 0; i < len; i++) {
        scratch[TABLES + len + i] = zeros.get(ValueLayout.JAVA_BYTE, (long) panel * len + i);
      }
    } else {
      Arrays.fill(scratch, TABLES + len, TABLES + 2 * len, 0f);
    }
  }

  /** Writes the products of a panel with vectors [i, i + m) to scratch: [m][2 L]. */
  private void products(int panel, Vectors in, int i, int m, float[] scratch) {
    long at = firstByte(panel);
    float[] x = in.data();
    if (bits == 8) {
      long table = (long) panel * groups * P * Float.BYTES;
      int zeroPoints = hasZeros ? TABLES + groups * P : -1;
      for (int j = 0; j < m; j++) {
        kernel.one8(at, x, in.offset(i + j), scales, table, scratch, zeroPoints, j * P);
      }
      return;
    }
    int sums = TABLES + 2 * groups * P;
    if (m == 1 && isDirect(1)) {
      direct4(panel, x, in.offset(i), scratch, sums);
      return;
    }
    if (m == 1) {
      one4(at, x, in.offset(i), scratch, sums);
    } else {
      // Missing vectors are computed again and dropped.
      int x1 = in.offset(i + Math.min(1, m - 1));
      int x2 = in.offset(i + Math.min(2, m - 1));
      int x3 = in.offset(i + m - 1);
      kernel.four4(at, x, in.offset(i), x1, x2, x3, scratch, sums);
    }
    for (int j = 0; j < m; j++) {
      int stride = m == 1 ? L : TOKENS * L;
      int scales = in.offset(i + j) + columns;
      kernel.scale4(scratch, sums + j * L, stride, x, scales, TABLES, j * P);
    }
  }

  /** Writes the sums of the blocks of a panel of 4 bits for one vector. */
  private void one4(long at, float[] x, int x0, float[] scratch, int sums) {
    int blocks = columns / Activation.BLOCK;
    int parts = sums + blocks * L;
    for (int b = 0; b < blocks; b += PARTS) {
      int end = Math.min(blocks, b + PARTS);
      kernel.one4(at, x, x0, b * Activation.BLOCK, end * Activation.BLOCK, scratch, parts);
      kernel.join4(scratch, b, end, parts, x, x0, sums + b * L);
    }
  }

  /** Returns whether n vectors meet the scales where they lie. */
  private boolean isDirect(int n) {
    return !hasZeros && (bits == 8 || (n == 1 && hasHalves));
  }

  /** Writes the products of a panel with one vector without reading the scales before. */
  private void direct4(int panel, float[] x, int x0, float[] scratch, int parts) {
    int blocks = columns / Activation.BLOCK;
    long at = firstByte(panel);
    long table = (long) panel * groups * P * Short.BYTES;
    Arrays.fill(scratch, 0, P, 0f);
    for (int b = 0; b < blocks; b += PARTS) {
      int end = Math.min(blocks, b + PARTS);
      kernel.one4(at, x, x0, b * Activation.BLOCK, end * Activation.BLOCK, scratch, parts);
      kernel.add4(scratch, parts, b, end, x, x0, scales, table, 0);
    }
  }
}
