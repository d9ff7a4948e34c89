package dev.fathom.cpu.kernel;

import static dev.fathom.cpu.kernel.Lanes.F;
import static dev.fathom.cpu.kernel.Lanes.L;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * A weight matrix whose rows are multiplied one by one, with float32 activations.
 *
 * <p>A product element is a float32 sum in lanes and then over lanes, in an order that depends on C
 * alone: multiplying one vector or many, all rows or some, gives the same bits. Few vectors meet
 * the stored bytes as they are streamed; for more, some rows are decoded and meet all of them.
 */
public abstract sealed class RowMatrix extends Matrix
    permits F32Matrix, Bf16Matrix, F16Matrix, Fp8Matrix, Mxfp4Matrix, Int8Matrix, DecodedMatrix {

  /** Most vectors that meet the stored bytes one by one: decoding pays off for more. */
  private static final int FEW = 3;

  /** Most vectors that meet the stored bytes two by two: more no longer fit the second cache. */
  private static final int MOST_PAIRED = 64;

  /** Rows that two vectors after two meet; a multiple of 4. */
  private static final int PAIR_ROWS = 64;

  RowMatrix(int rows, int cols) {
    super(rows, cols);
  }

  @Override
  public final RowMatrix rowMajor(SegmentAllocator allocator) {
    return this;
  }

  @Override
  public void decodeBf16(int from, int to, MemorySegment out, float[] scratch) {
    int cols = cols();
    for (int r = from; r < to; r++) {
      decodeNatural(r, scratch, 0);
      Bf16Round.run(scratch, 0, out, (long) (r - from) * cols * Short.BYTES, cols);
    }
  }

  @Override
  public final void multiply(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch) {
    for (int r = from; r < to; ) {
      int end = Math.min(to, endOfFactors(r));
      if (ScalarStart.isOn() && hasScalarRows()) {
        multiplyScalar(r, end, in, first, n, out, outOff, outStride, scratch);
      } else if (n > 1 && n <= MOST_PAIRED && hasPairs()) {
        multiplyPairs(r, end, in, first, n, out, outOff, outStride, scratch);
      } else if (n <= FEW) {
        multiplyFew(r, end, in, first, n, out, outOff, outStride, scratch);
      } else if (n <= 4) {
        multiplyFour(r, end, in, first, n, out, outOff, outStride, scratch);
      } else {
        multiplyTiles(r, end, in, first, n, out, outOff, outStride, scratch);
      }
      r = end;
    }
  }

  /** Stored rows, as many as scratch holds, meet one vector after the other. */
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
    int weighed = Lanes.scratchLen();
    int stored = weighed + cols();
    int step = Math.max(1, (Tile.scratchLen(cols()) - stored) / cols());
    for (int r = from; r < to; r += step) {
      int m = Math.min(step, to - r);
      int width = copyStored(r, m, scratch, stored);
      for (int i = 0; i < n; i++) {
        weighScalar(r, in, first + i, scratch, weighed);
        for (int k = 0; k < m; k++) {
          for (int j = 0; j < L; j += 4) {
            fourLanes(scratch, stored + k * width + j, scratch, weighed + j, scratch, j);
          }
          ScalarStart.sum(scratch);
          put(r + k, 1, r + k + 1, in, first + i, scratch, 0, out, outOff + i * outStride);
        }
      }
    }
  }

  private void weighScalar(int r, Vectors in, int vector, float[] out, int to) {
    float[] x = in.data();
    int off = in.offset(vector);
    int body = body();
    for (int c = 0; c < body; c += L) {
      float factor = factor(r, c);
      for (int j = 0; j < L; j++) {
        out[to + c + j] = x[off + c + j] * factor;
      }
    }
  }

  /** Four rows at a time are decoded, which stay in the first cache. */
  private void multiplyFour(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch) {
    Tile.clear(scratch);
    Tile.pack(this, from, scratch, in, first, n, 0, body());
    for (int r = from; r < to; r += 4) {
      int m = Math.min(to - r, 4);
      decodeRows(r, m, 0, body(), scratch);
      Tile.finish(this, scratch, m, 0, n, 0, out, outOff + r, outStride);
    }
  }

  private void multiplyTiles(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch) {
    Tile.clear(scratch);
    boolean isOneBlock = body() <= block();
    int step = Tile.rows(isOneBlock ? cols() : block());
    int vectors = isOneBlock ? n : Tile.WAITING;
    for (int r = from; r < to; r += step) {
      int m = Math.min(to - r, step);
      for (int i = 0; i < n; i += vectors) {
        int count = Math.min(vectors, n - i);
        int target = outOff + i * outStride + r;
        multiplyPanel(r, m, in, first + i, count, out, target, outStride, scratch);
      }
    }
  }

  /** Multiplies m rows block by block. */
  private void multiplyPanel(
      int r,
      int m,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] scratch) {
    int body = body();
    int from = 0;
    do {
      int to = body - from > block() ? from + block() : body;
      decodeRows(r, m, from, to, scratch);
      for (int i = 0; i < n; i += 4) {
        int count = Math.min(4, n - i);
        Tile.pack(this, r, scratch, in, first + i, count, from, to);
        if (to < body) {
          Tile.add(scratch, m, i, to - from, from == 0);
        } else {
          int target = outOff + i * outStride;
          Tile.finish(this, scratch, m, i, count, from, out, target, outStride);
        }
      }
      from = to;
    } while (from < body);
  }

  private void decodeRows(int r, int m, int from, int to, float[] scratch) {
    int tail = to == body() ? cols() - to : 0;
    int width = to - from + tail;
    for (int k = 0; k < m; k++) {
      decode(r + k, from, to, scratch, Tile.row(k, width));
      if (tail > 0) {
        decodeTail(r + k, scratch, Tile.rowTail(k, width, tail));
      }
    }
  }

  /**
   * Four rows at a time: one row's sum is a chain that waits for its own additions. They are a
   * quarter of the rows apart, so that memory is read in four streams as long as they can be.
   */
  private void multiplyFew(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] lanes) {
    boolean hasFactors = endOfFactors(from) < Integer.MAX_VALUE;
    float[] x = hasFactors ? lanes : in.data();
    int weighed = Lanes.scratchLen();
    for (int i = 0; hasFactors && i < n; i++) {
      weigh(from, in.data(), in.offset(first + i), 0, body(), lanes, weighed + i * cols(), 1);
    }
    int step = Math.ceilDiv(to - from, 4);
    for (int r = from; r < from + step; r++) {
      for (int i = 0; i < n; i++) {
        int off = hasFactors ? weighed + i * cols() : in.offset(first + i);
        four(r, step, to - 1, x, off, lanes);
        Lanes.sums(lanes, 4);
        put(r, step, to, in, first + i, lanes, 0, out, outOff + i * outStride);
      }
    }
  }

  /**
   * Some rows, which stay in the second cache, meet two vectors at a time, which stay in the first.
   */
  private void multiplyPairs(
      int from,
      int to,
      Vectors in,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      float[] lanes) {
    float[] x = in.data();
    // Two vectors pass once: nothing needs to stay in a cache, and memory is read in longer runs.
    int rows = n == 2 ? to - from : PAIR_ROWS;
    for (int panel = from; panel < to; panel += rows) {
      int end = Math.min(to, panel + rows);
      for (int i = 0; i < n; i += 2) {
        int off = in.offset(first + i);
        int other = in.offset(first + Math.min(i + 1, n - 1));
        int step = Math.ceilDiv(end - panel, 4);
        for (int r = panel; r < panel + step; r++) {
          fourOfTwo(r, step, end - 1, x, off, other, lanes);
          Lanes.sums(lanes, 8);
          int target = outOff + i * outStride;
          put(r, step, end, in, first + i, lanes, 0, out, target);
          if (i + 1 < n) {
            put(r, step, end, in, first + i + 1, lanes, 4, out, target + outStride);
          }
        }
      }
    }
  }

  /** Writes four sums, or as many as there are rows, with what lies behind the body. */
  private void put(
      int r,
      int step,
      int to,
      Vectors in,
      int vector,
      float[] sums,
      int at,
      float[] out,
      int target) {
    float share = sumShare();
    boolean hasTail = body() < cols();
    for (int k = 0, row = r; k < 4 && row < to; k++, row += step) {
      float tail = hasTail ? tail(row, in.data(), in.offset(vector)) : 0f;
      out[target + row] = sums[at + k] * share + tail;
    }
  }

  /** Returns the end of the rows whose factors of the columns are those of row r. */
  int endOfFactors(int r) {
    return Integer.MAX_VALUE;
  }

  /** Returns what the sums over the body are multiplied with, a power of two. */
  float sumShare() {
    return 1f;
  }

  /**
   * Writes x[off + from, off + end) times the factors of row r, vector by vector.
   *
   * @param from a column, a multiple of L, as is end
   * @param to where the first vector goes; the next one goes stride * L further on
   */
  void weigh(int r, float[] x, int off, int from, int end, float[] out, int to, int stride) {
    for (int c = from; c < end; c += L) {
      FloatVector.fromArray(F, x, off + c).intoArray(out, to + stride * (c - from));
    }
  }

  /** Returns the factor of {@link #weigh} for column c of row r. */
  float factor(int r, int c) {
    return 1f;
  }

  /** Returns whether there is {@link #fourLanes}, which wants rows without a tail. */
  boolean hasScalarRows() {
    return false;
  }

  /** Copies m stored rows as they are into the bits of floats and returns the floats of a row. */
  int copyStored(int r, int m, float[] out, int off) {
    throw new UnsupportedOperationException("scalar rows");
  }

  /**
   * Writes the sums in lanes [to, to + 4) of a stored row.
   *
   * @param at where the row's bits begin, plus the first lane
   * @param off where the vector begins, plus the first lane
   */
  void fourLanes(float[] stored, int at, float[] x, int off, float[] lanes, int to) {
    throw new UnsupportedOperationException("scalar rows");
  }

  /** Returns the columns that go in whole vectors; the others are added one by one. */
  abstract int body();

  /**
   * Writes the sums in lanes of the bodies of rows r, r + step, r + 2 step and r + 3 step, or of
   * the last row where there is no such row, with x[off, off + C) to lanes[0, 4 L).
   */
  abstract void four(int r, int step, int last, float[] x, int off, float[] lanes);

  /** Returns whether there is {@link #fourOfTwo}, for rows without factors. */
  boolean hasPairs() {
    return false;
  }

  /** Writes the sums of {@link #four} of two vectors, one after the other: [8 L]. */
  void fourOfTwo(int r, int step, int last, float[] x, int off, int other, float[] lanes) {
    throw new UnsupportedOperationException("pairs of vectors");
  }

  /** Returns the sum of the columns behind the body of row r with x[off, off + C). */
  abstract float tail(int r, float[] x, int off);

  /**
   * Writes the float32 weights that {@link #four} multiplies in columns [from, to) of the body of
   * row r, in {@link #order()}, without the factors of {@link #weigh}.
   *
   * @param from 0 or a multiple of {@link #block()}; to is one too, or the end of the body
   * @param off where the first vector goes; the next one goes 4 L further on
   */
  abstract void decode(int r, int from, int to, float[] out, int off);

  /**
   * Writes the whole float32 weights of row r behind {@link #body()} to out[off, off + C - body).
   */
  abstract void decodeTail(int r, float[] out, int off);

  /** Returns the columns that are decoded together for many vectors. */
  int block() {
    return Tile.BLOCK;
  }

  /** Writes the float32 weights of row r in natural order to out[off, off + C). */
  public abstract void decodeNatural(int r, float[] out, int off);

  /** Returns whether there is {@link #sumRows} for n rows. */
  public final boolean sumsRows(int n) {
    return addsRows() && n % 4 == 0 && body() == cols() && !ScalarStart.isOn();
  }

  /**
   * Computes out[to + c] = sum over i in [0, n) of x[off + i] * row (r + i), in natural order, with
   * the bits of {@link #decodeNatural} and a {@link WeightedSum} to zeros, without decoding rows to
   * memory first.
   */
  public final void sumRows(int r, int n, float[] x, int off, float[] out, int to) {
    Arrays.fill(out, to, to + cols(), 0f);
    for (int i = 0; i < n; i += 4) {
      addFour(r + i, x, off + i, out, to);
    }
    toNatural(out, to);
  }

  /** Returns whether there are {@link #addFour} and {@link #toNatural}. */
  boolean addsRows() {
    return false;
  }

  /** Adds x[off + i] * row (r + i) for i in [0, 4) to out[to, to + C), in {@link #order()}. */
  void addFour(int r, float[] x, int off, float[] out, int to) {
    throw new UnsupportedOperationException("sums of rows");
  }

  /** Brings what {@link #addFour} added up from {@link #order()} to natural order. */
  void toNatural(float[] out, int to) {}
}
