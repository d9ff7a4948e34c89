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
 * Integer weights of 8 or 4 bits, repacked for products with {@link Activation}s: sums of a turn's
 * columns, 16 of 8 bits or 32 of 4 bits, are exact integers, which are added in float32 in rising
 * order.
 *
 * <p>A panel is 2 L rows. Each of the four steps of a turn is 2 L ints, one a row: in step j its
 * low half holds the columns j, j + 4, ... of the turn's first half and the high half those of the
 * second half, lowest column lowest. Codes of 4 bits, and every second one of 8 bits, lie as
 * numbers from 0 on: 8 or 128 more than they are.
 *
 * <pre>
 *   step 0 of a turn:   8 bits   c12 | c8 + 128 | c4 | c0 + 128
 *                       4 bits   c28 | c24 | c20 | c16 | c12 | c8 | c4 | c0, all + 8
 * </pre>
 *
 * <p>The steps lie in four streams: the first ones of all panels in the first stream, and so on, so
 * that the processor fetches several long runs of memory at a time.
 *
 * <p>Rows and columns are filled up. Scales are float32: [panel][group][2 L]. Zero points are
 * signed numbers of 16 bits, two in an int, row i low and row L + i high: [panel][group][L]; and so
 * are scales of 4 bits where all are exactly float16. A product with one row may compute its whole
 * panel; whoever writes rows of a panel reads all of it.
 */
final class IntegerPanels extends Matrix implements Integers {

  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Rows of a panel. */
  static final int P = 2 * L;

  private static final int STEPS = Activation.STEPS;

  /** What codes of 4 bits, and every second one of 8 bits, lie above what they are. */
  static final int MIDDLE_4 = 8;

  static final int MIDDLE_8 = 128;

  // Adding the middle to a code of two's complement turns its highest bit over.
  private static final int MIDDLES_4 = 0x88888888;
  private static final int MIDDLES_8 = 0x00800080;

  /** Bytes of panels that several vectors meet one after the other: half of the second cache. */
  private static final int CHUNK = 1 << 19;

  private final int bits;
  private final int groups;
  private final int groupSize;
  private final boolean hasZeros;
  private final boolean hasHalves;
  private final MemorySegment data;
  private final MemorySegment scales;
  private final MemorySegment zeros;
  private final int columns;
  private final int turn;
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
    this.turn = Activation.turn(bits);
    this.panelBytes = columns / turn * P * Integer.BYTES;
    long panels = Math.ceilDiv(rows(), P);
    this.streamBytes = panels * panelBytes;
    this.data = allocator.allocate(STEPS * streamBytes, 64);
    this.hasHalves = bits == 4 && areHalves(source);
    int scaleBytes = hasHalves ? Short.BYTES : Float.BYTES;
    this.scales = allocator.allocate(panels * groups * P * scaleBytes, 64);
    this.zeros = allocator.allocate(hasZeros ? panels * groups * P * Short.BYTES : 0, 64);
    int turns = columns / turn;
    int turnsOfGroup = groups == 1 ? Math.max(1, turns) : groupSize / turn;
    this.kernel =
        new IntegerKernel(
            data,
            scales,
            zeros,
            hasHalves,
            streamBytes,
            turns,
            groups,
            turnsOfGroup,
            Activation.BLOCK / turn);
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
    return P + 2 * Activation.blocks(cols) * P;
  }

  /** Returns an upper bound of the bytes of a matrix whose groups have 32 columns or more. */
  static long bytes(int bits, int rows, int cols) {
    long padded = (long) Math.ceilDiv(rows, P) * P * Activation.blocks(cols);
    return padded * (Activation.BLOCK * bits / 8 + Float.BYTES + Short.BYTES);
  }

  static IntegerPanels of(Integers source, SegmentAllocator allocator, Sharing sharing) {
    IntegerPanels panels = new IntegerPanels(source, allocator);
    sharing.run(Math.ceilDiv(source.rows(), P), (from, to) -> panels.fill(source, from, to));
    return panels;
  }

  /** Copies the rows of panels [from, to). */
  private void fill(Integers source, int from, int to) {
    int len = panelBytes / Integer.BYTES;
    int[] panel = new int[STEPS * len];
    byte[] row = new byte[columns];
    for (int p = from; p < to; p++) {
      Arrays.fill(panel, 0);
      for (int i = 0; i < Math.min(P, rows() - p * P); i++) {
        source.codes(p * P + i, row);
        interleave(row, i, panel);
        putScales(source, p * P, i);
      }
      for (int k = 0; k < STEPS; k++) {
        MemorySegment.copy(panel, k * len, data, INT, firstByte(p) + k * streamBytes, len);
      }
    }
  }

  /** Returns where row i of a panel lies among shorts, two in an int, of which it has one half. */
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
   * @param turn columns of a turn
   * @param stream bytes from a stream to the next
   */
  static long stepByte(int c, int turn, long stream) {
    return (long) (c / turn) * P * Integer.BYTES + c % STEPS * stream;
  }

  /** Writes row i of a panel: [stream][turn][2 L]. */
  private void interleave(byte[] row, int i, int[] panel) {
    int len = panel.length / STEPS;
    int middles = middles();
    for (int c = 0, at = i; c < row.length; c += turn, at += P) {
      for (int k = 0; k < STEPS; k++) {
        int codes = bits == 4 ? eight(row, c + k) : four(row, c + k);
        panel[k * len + at] = codes ^ middles;
      }
    }
  }

  /** Returns the codes of 8 bits of a step from column c on. */
  private static int four(byte[] row, int c) {
    return (row[c] & 0xFF)
        | (row[c + STEPS] & 0xFF) << 8
        | (row[c + 2 * STEPS] & 0xFF) << 16
        | row[c + 3 * STEPS] << 24;
  }

  /** Returns the codes of 4 bits of a step from column c on. */
  private static int eight(byte[] row, int c) {
    return fourOfEight(row, c) | fourOfEight(row, c + 4 * STEPS) << 16;
  }

  private static int fourOfEight(byte[] row, int c) {
    return (row[c] & 0xF)
        | (row[c + STEPS] & 0xF) << 4
        | (row[c + 2 * STEPS] & 0xF) << 8
        | (row[c + 3 * STEPS] & 0xF) << 12;
  }

  /** Returns the bits that tell what an int holds from its codes of two's complement. */
  private int middles() {
    return bits == 4 ? MIDDLES_4 : MIDDLES_8;
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
        long lane = (at - i + lane(i)) * Short.BYTES;
        zeros.set(SHORT, lane, (short) source.zero(first + i, g));
      }
    }
  }

  @Override
  public Order order() {
    return bits == 8 ? Order.BYTES_8 : Order.BYTES_4;
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
    long first = ((long) r / P * groups + g) * P;
    return hasZeros ? zeros.get(SHORT, (first + lane(r % P)) * Short.BYTES) : 0;
  }

  @Override
  public void codes(int r, byte[] out) {
    long base = firstByte(r / P) + (long) (r % P) * Integer.BYTES;
    for (int c = 0; c < cols(); c++) {
      int codes = data.get(INT, base + stepByte(c, turn, streamBytes)) ^ middles();
      int above = Integer.SIZE - bits - c % turn / STEPS * bits;
      out[c] = (byte) (codes << above >> (Integer.SIZE - bits));
    }
  }

  @Override
  public RowReader reader(WeightMatrix source) {
    return this::decodeRow;
  }

  @Override
  public Bf16Layout bf16Layout() {
    return Bf16Layout.PANELS_OF_64;
  }

  @Override
  public void decodeBf16(int from, int to, MemorySegment out, float[] scratch) {
    for (int panel = from / P; panel * P < to; panel++) {
      kernel.readTables(panel, scratch, 0);
      long at = firstByte(panel);
      long target = (long) (panel * P - from) * Integer.BYTES;
      decode.run(at, scratch, 0, out, target);
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
    int whole = Math.ceilDiv(from, P);
    int end = Math.max(whole, to / P);
    if (from < whole * P) {
      part(from, Math.min(to, whole * P), in, first, n, out, outOff, outStride, scratch);
    }
    int chunk = n == 1 ? end - whole : Math.max(1, CHUNK / (STEPS * panelBytes));
    for (int p = whole; p < end; p += chunk) {
      int last = Math.min(end, p + chunk);
      for (int i = 0; i < n; i++) {
        products(p, last, in.data(), in.offset(first + i), out, outOff + i * outStride + p * P);
      }
      takeZeros(p, last, in, first, n, out, outOff + p * P, outStride, scratch);
    }
    if (end * P < to && whole * P < to) {
      part(end * P, to, in, first, n, out, outOff, outStride, scratch);
    }
  }

  /** Computes rows of one panel, which are not all of it. */
  private void part(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch) {
    int panel = from / P;
    for (int i = 0; i < n; i++) {
      products(panel, panel + 1, in.data(), in.offset(first + i), scratch, 0);
      takeZeros(panel, panel + 1, in, first + i, 1, scratch, 0, 0, scratch);
      System.arraycopy(scratch, from % P, out, outOff + i * outStride + from, to - from);
    }
  }

  /** Writes the products of panels [from, end) with the vector at x[x0]: [panel][2 L]. */
  private void products(int from, int end, float[] x, int x0, float[] out, int to) {
    if (bits == 4) {
      kernel.run4(from, end, x, x0, out, to);
    } else if (groups == 1) {
      kernel.run8(from, end, 0, x, x0, out, to);
    } else {
      for (int p = from; p < end; p++) {
        for (int g = 0; g < groups; g++) {
          kernel.run8(p, p + 1, g, x, x0, out, to + (p - from) * P);
        }
      }
    }
  }

  /**
   * Takes what zero points are worth from the products of panels [from, end) with n vectors.
   *
   * @param to where the first products lie, those of the next vector are {@code stride} further on
   * @param scratch tables of a panel go behind its first 2 L floats
   */
  private void takeZeros(
      int from,
      int end,
      Vectors in,
      int first,
      int n,
      float[] out,
      int to,
      int stride,
      float[] scratch) {
    int sums = Activation.sums(bits, cols());
    for (int p = from; hasZeros && p < end; p++) {
      kernel.readTables(p, scratch, P);
      for (int i = 0; i < n; i++) {
        int target = to + i * stride + (p - from) * P;
        kernel.takeZeros(in.data(), in.offset(first + i) + sums, scratch, P, out, target);
      }
    }
  }
}
