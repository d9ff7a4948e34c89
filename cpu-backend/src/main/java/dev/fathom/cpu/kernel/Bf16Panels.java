package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.L;
import static dev.fathom.cpu.kernel.Lanes.LITTLE;

import dev.fathom.quant.RowReader;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Rows of bfloat16 in panels of {@link #P}, with a row in each lane: columns 2 k and 2 k + 1 of all
 * rows of a panel lie together, [panel][C / 2][P][2]. Rows are filled up to whole panels, columns
 * to a multiple of 32 ({@link Bf16Layout#padded}).
 *
 * <p>A product element is a float32 sum over blocks of {@link #BLOCK} columns, in rising order; the
 * sum of a block is one chain of fused multiply-adds, in rising order too. So it depends neither on
 * the width of vectors nor on what else is multiplied.
 *
 * <p>One vector meets four runs of panels at a time, as long as they can be, and two vectors two.
 * Up to {@link #TOGETHER} vectors are packed, column by column, so that eight (or four) are
 * broadcast one after the other, and meet a block of a panel while it stays in the first cache.
 */
final class Bf16Panels extends Matrix {

  /** Rows of a panel: two lines of memory for a pair of columns. */
  static final int P = 32;

  /** Columns whose products are summed by themselves. */
  static final int BLOCK = 256;

  /** Most vectors that are packed together. */
  private static final int TOGETHER = 64;

  /** Vectors that meet a unit at a time where the registers hold their sums. */
  private static final int MOST_AT_ONCE = L == 16 ? 8 : 4;

  /** Rows of a unit, and the units of a panel. */
  private static final int UNIT = 2 * L;

  private static final int UNITS = P / UNIT;

  /** Floats of the sums of all vectors that are packed together, which the vectors lie behind. */
  private static final int SUMS = TOGETHER * P;

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(LITTLE);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE);

  private final MemorySegment data;
  private final long panelBytes;

  private Bf16Panels(int rows, int cols, SegmentAllocator allocator) {
    super(rows, cols);
    this.panelBytes = panelBytes(cols);
    this.data = allocator.allocate(bytes(rows, cols), 64);
  }

  private static long panelBytes(int cols) {
    return (long) Bf16Layout.padded(cols) * P * Short.BYTES;
  }

  /** Returns whether a matrix of so many rows is worth a panel. */
  static boolean fits(int rows) {
    return rows >= P;
  }

  /** Returns the bytes of a matrix. */
  static long bytes(int rows, int cols) {
    return Math.ceilDiv(rows, P) * panelBytes(cols);
  }

  /** Returns the floats of scratch for matrices of up to so many columns. */
  static int scratch(int cols) {
    return SUMS + TOGETHER * (cols + 1);
  }

  /** Copies rows of bfloat16 that lie one after the other. */
  static Bf16Panels of(WeightMatrix source, SegmentAllocator allocator, Sharing sharing) {
    Bf16Panels panels = new Bf16Panels(source.rows(), source.cols(), allocator);
    sharing.run(Math.ceilDiv(source.rows(), P), (from, to) -> panels.fill(source, from, to));
    return panels;
  }

  /** Copies the rows of panels [from, to). */
  private void fill(WeightMatrix source, int from, int to) {
    int pairs = Bf16Layout.padded(cols()) / 2;
    int[] panel = new int[pairs * P];
    int[] rows = new int[4 * pairs];
    for (int p = from; p < to; p++) {
      Arrays.fill(panel, 0);
      for (int i = 0; i < P && p * P + i < rows(); i += 4) {
        int n = Math.min(4, rows() - p * P - i);
        Arrays.fill(rows, 0);
        for (int k = 0; k < n; k++) {
          readRow(source, p * P + i + k, rows, k * pairs);
        }
        interleave(rows, pairs, panel, i);
      }
      MemorySegment.copy(panel, 0, data, INT, p * panelBytes, panel.length);
    }
  }

  private static void readRow(WeightMatrix source, int r, int[] out, int off) {
    int cols = source.cols();
    long at = (long) r * cols * Short.BYTES;
    MemorySegment.copy(source.data(), INT, at, out, off, cols / 2);
    if (cols % 2 != 0) {
      out[off + cols / 2] = source.data().get(SHORT, at + (cols - 1L) * Short.BYTES) & 0xFFFF;
    }
  }

  /** Writes four rows as rows i to i + 3 of a panel. */
  private static void interleave(int[] rows, int pairs, int[] panel, int i) {
    for (int c = 0, at = i; c < pairs; c++, at += P) {
      panel[at] = rows[c];
      panel[at + 1] = rows[pairs + c];
      panel[at + 2] = rows[2 * pairs + c];
      panel[at + 3] = rows[3 * pairs + c];
    }
  }

  @Override
  public Order order() {
    return Order.NATURAL;
  }

  @Override
  public RowReader reader(WeightMatrix source) {
    return this::decodeRow;
  }

  private long rowByte(int r) {
    return r / P * panelBytes + (long) (r % P) * Integer.BYTES;
  }

  private void decodeRow(int r, float[] out, int off) {
    long at = rowByte(r);
    int cols = cols();
    for (int c = 0; c < cols; c += 2, at += Bf16Kernel.PAIR) {
      int pair = data.get(INT, at);
      out[off + c] = Float.intBitsToFloat(pair << 16);
      if (c + 1 < cols) {
        out[off + c + 1] = Float.intBitsToFloat(pair & 0xFFFF0000);
      }
    }
  }

  @Override
  public Bf16Layout bf16Layout() {
    return Bf16Layout.PANELS_OF_32;
  }

  @Override
  public MemorySegment bf16Stored() {
    return data;
  }

  @Override
  public void decodeBf16(int from, int to, MemorySegment out, float[] scratch) {
    throw new UnsupportedOperationException("stored rows");
  }

  @Override
  public RowMatrix rowMajor(SegmentAllocator allocator) {
    long rowBytes = (long) cols() * Short.BYTES;
    MemorySegment rows = allocator.allocate(rows() * rowBytes, 64);
    for (int r = 0; r < rows(); r++) {
      for (int c = 0; c < cols(); c++) {
        long at = rowByte(r) + columnByte(c) + (long) (c % 2) * Short.BYTES;
        rows.set(SHORT, r * rowBytes + (long) c * Short.BYTES, data.get(SHORT, at));
      }
    }
    return new Bf16Matrix(rows(), cols(), rows);
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
    boolean isEven = cols() % 2 == 0;
    if (ScalarStart.isOn()) {
      multiplyScalar(from, to, in, first, n, out, outOff, outStride, scratch);
    } else if (n == 1 && isEven) {
      multiplyOne(from, to, in.data(), in.offset(first), out, outOff, scratch);
    } else if (n == 2 && isEven) {
      multiplyTwo(from, to, in, first, out, outOff, outStride, scratch);
    } else {
      for (int i = 0; i < n; i += TOGETHER) {
        int m = Math.min(TOGETHER, n - i);
        int target = outOff + i * outStride;
        multiplyPacked(from, to, in, first + i, m, out, target, outStride, scratch);
      }
    }
  }

  /**
   * Returns a unit of those that go through a loop together, or -1 where there is none: they are of
   * as many panels as they need, a part of the panels apart.
   *
   * @param group which of the loops
   * @param k which of the units of a loop
   * @param together units of a loop
   * @param panels panels of all loops
   */
  private static int unit(int group, int k, int together, int panels) {
    int loops = Math.max(1, UNITS / together);
    int apart = Math.max(1, together / UNITS);
    int inPanel = Math.min(UNITS, together);
    int panel = group / loops + k / inPanel * Math.ceilDiv(panels, apart);
    return panel < panels ? panel * UNITS + group % loops * together + k % inPanel : -1;
  }

  /** Returns how many loops {@link #unit} tells of. */
  private static int loops(int together, int panels) {
    int apart = Math.max(1, together / UNITS);
    return Math.ceilDiv(panels, apart) * Math.max(1, UNITS / together);
  }

  /** Returns where a unit begins, counted from the first one of a panel; that one's where -1. */
  private long unitByte(int panel, int unit) {
    int u = Math.max(0, unit);
    return (panel + u / UNITS) * panelBytes + (long) (u % UNITS) * UNIT * Integer.BYTES;
  }

  /** Returns the bytes from the begin of a panel to a column, an even one. */
  private static long columnByte(int col) {
    return (long) (col / 2) * Bf16Kernel.PAIR;
  }

  private void multiplyOne(
      int from, int to, float[] x, int off, float[] out, int outOff, float[] sums) {
    int panel = from / P;
    int panels = Math.ceilDiv(to, P) - panel;
    int loops = loops(4, panels);
    for (int g = 0; g < loops; g++) {
      Arrays.fill(sums, 0, 4 * UNIT, 0f);
      long a = unitByte(panel, unit(g, 0, 4, panels));
      long b = unitByte(panel, unit(g, 1, 4, panels));
      long c = unitByte(panel, unit(g, 2, 4, panels));
      long d = unitByte(panel, unit(g, 3, 4, panels));
      for (int col = 0; col < cols(); col += BLOCK) {
        int len = Math.min(BLOCK, cols() - col);
        long at = columnByte(col);
        Bf16Kernel.one(data, a + at, b + at, c + at, d + at, x, off + col, len, sums);
      }
      for (int k = 0; k < 4; k++) {
        putUnit(unit(g, k, 4, panels), panel, from, to, sums, k * UNIT, out, outOff);
      }
    }
  }

  private void multiplyTwo(
      int from,
      int to,
      Vectors in,
      int first,
      float[] out,
      int outOff,
      int outStride,
      float[] sums) {
    int panel = from / P;
    int panels = Math.ceilDiv(to, P) - panel;
    int off = in.offset(first);
    int other = in.offset(first + 1);
    int loops = loops(2, panels);
    for (int g = 0; g < loops; g++) {
      Arrays.fill(sums, 0, 4 * UNIT, 0f);
      long a = unitByte(panel, unit(g, 0, 2, panels));
      long b = unitByte(panel, unit(g, 1, 2, panels));
      for (int col = 0; col < cols(); col += BLOCK) {
        int len = Math.min(BLOCK, cols() - col);
        long at = columnByte(col);
        Bf16Kernel.two(data, a + at, b + at, in.data(), off + col, other + col, len, sums);
      }
      for (int k = 0; k < 2; k++) {
        int unit = unit(g, k, 2, panels);
        putUnit(unit, panel, from, to, sums, k * UNIT, out, outOff);
        putUnit(unit, panel, from, to, sums, (2 + k) * UNIT, out, outOff + outStride);
      }
    }
  }

  /** Writes the sums of a unit, as far as they are of rows [from, to). */
  private static void putUnit(
      int unit, int panel, int from, int to, float[] sums, int at, float[] out, int outOff) {
    int r = panel * P + unit * UNIT;
    int begin = Math.max(from, r);
    int len = Math.min(to, r + UNIT) - begin;
    if (unit >= 0 && len > 0) {
      System.arraycopy(sums, at + begin - r, out, outOff + begin, len);
    }
  }

  private void multiplyPacked(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch) {
    pack(in, first, n, scratch);
    int filled = Math.ceilDiv(n, 4) * 4;
    for (int panel = from / P; panel * P < to; panel++) {
      Arrays.fill(scratch, 0, filled * P, 0f);
      for (int col = 0, at = SUMS; col < cols(); col += BLOCK) {
        int len = Math.min(BLOCK, cols() + cols() % 2 - col);
        for (int u = 0; u < UNITS; u++) {
          multiplyBlock(unitByte(panel, u) + columnByte(col), u * UNIT, filled, at, len, scratch);
        }
        at += filled * len;
      }
      putPanel(panel * P, from, to, n, scratch, out, outOff, outStride);
    }
  }

  /** Adds the products of a unit's block with packed vectors. */
  private void multiplyBlock(long weights, int lane, int n, int vectors, int len, float[] scratch) {
    int at = vectors;
    for (int i = 0; i < n; ) {
      int together = together(n - i);
      if (together == 8) {
        Bf16Kernel.eight(data, weights, scratch, at, len, scratch, i * P + lane);
      } else {
        Bf16Kernel.four(data, weights, scratch, at, len, scratch, i * P + lane);
      }
      at += together * len;
      i += together;
    }
  }

  /** Returns how many of the vectors that are left are packed together, of a multiple of four. */
  private static int together(int left) {
    return left >= MOST_AT_ONCE ? MOST_AT_ONCE : 4;
  }

  /** Writes the sums of a panel, as far as they are of rows [from, to). */
  private static void putPanel(
      int r, int from, int to, int n, float[] sums, float[] out, int outOff, int outStride) {
    int begin = Math.max(from, r);
    int len = Math.min(to, r + P) - begin;
    for (int i = 0; i < n; i++) {
      System.arraycopy(sums, i * P + begin - r, out, outOff + i * outStride + begin, len);
    }
  }

  /** Packs vectors: [block][eight or four vectors][column][vector]; those that lack are zeros. */
  private void pack(Vectors in, int first, int n, float[] scratch) {
    int filled = Math.ceilDiv(n, 4) * 4;
    int even = cols() + cols() % 2;
    for (int col = 0, at = SUMS; col < even; col += BLOCK) {
      int len = Math.min(BLOCK, even - col);
      for (int i = 0; i < filled; ) {
        int together = together(filled - i);
        for (int k = 0; k < together; k += 4) {
          packFour(in, first, n, i + k, col, len, scratch, at + k, together);
        }
        at += together * len;
        i += together;
      }
    }
  }

  private void packFour(
      Vectors in, int first, int n, int i, int col, int len, float[] out, int to, int stride) {
    if (i + 4 <= n && col + len <= cols()) {
      int a = in.offset(first + i) + col;
      int b = in.offset(first + i + 1) + col;
      int c = in.offset(first + i + 2) + col;
      int d = in.offset(first + i + 3) + col;
      packFour(in.data(), a, b, c, d, len, out, to, stride);
      return;
    }
    for (int k = 0; k < 4; k++) {
      for (int c = 0; c < len; c++) {
        boolean isThere = i + k < n && col + c < cols();
        out[to + k + c * stride] = isThere ? in.data()[in.offset(first + i + k) + col + c] : 0f;
      }
    }
  }

  private static void packFour(
      float[] x, int a, int b, int c, int d, int len, float[] out, int to, int stride) {
    for (int k = 0, at = to; k < len; k++, at += stride) {
      out[at] = x[a + k];
      out[at + 1] = x[b + k];
      out[at + 2] = x[c + k];
      out[at + 3] = x[d + k];
    }
  }

  /** A block of a panel is copied as it is and meets one vector after the other. */
  private void multiplyScalar(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch) {
    int stored = P;
    for (int panel = from / P; panel * P < to; panel++) {
      for (int i = 0; i < n; i++) {
        Arrays.fill(scratch, 0, P, 0f);
        for (int col = 0; col < cols(); col += BLOCK) {
          int len = Math.min(BLOCK, cols() - col);
          long at = panel * panelBytes + columnByte(col);
          MemorySegment.copy(data, FLOAT, at, scratch, stored, Math.ceilDiv(len, 2) * P);
          for (int j = 0; j < P; j += 4) {
            fourRows(scratch, stored + j, in.data(), in.offset(first + i) + col, len, j);
          }
        }
        putPanel(panel * P, from, to, 1, scratch, out, outOff + i * outStride, 0);
      }
    }
  }

  private static void fourRows(float[] stored, int at, float[] x, int off, int len, int to) {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int c = 0, i = at; c < len; c += 2, i += P) {
      int w0 = Float.floatToRawIntBits(stored[i]);
      int w1 = Float.floatToRawIntBits(stored[i + 1]);
      int w2 = Float.floatToRawIntBits(stored[i + 2]);
      int w3 = Float.floatToRawIntBits(stored[i + 3]);
      float even = x[off + c];
      s0 = Math.fma(Float.intBitsToFloat(w0 << 16), even, s0);
      s1 = Math.fma(Float.intBitsToFloat(w1 << 16), even, s1);
      s2 = Math.fma(Float.intBitsToFloat(w2 << 16), even, s2);
      s3 = Math.fma(Float.intBitsToFloat(w3 << 16), even, s3);
      float odd = c + 1 < len ? x[off + c + 1] : 0f;
      s0 = Math.fma(Float.intBitsToFloat(w0 & 0xFFFF0000), odd, s0);
      s1 = Math.fma(Float.intBitsToFloat(w1 & 0xFFFF0000), odd, s1);
      s2 = Math.fma(Float.intBitsToFloat(w2 & 0xFFFF0000), odd, s2);
      s3 = Math.fma(Float.intBitsToFloat(w3 & 0xFFFF0000), odd, s3);
    }
    stored[to] += s0;
    stored[to + 1] += s1;
    stored[to + 2] += s2;
    stored[to + 3] += s3;
  }
}
