package dev.fathom.cpu.onednn;

import dev.fathom.cpu.kernel.Bf16Layout;
import dev.fathom.cpu.kernel.Bf16Round;
import dev.fathom.cpu.kernel.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Products of many vectors with weight matrices, in bfloat16 with float32 sums.
 *
 * <p>First all vectors are rounded ({@link #round}), then each thread of the backend's team
 * multiplies its rows ({@link #multiply}) in blocks of {@link #ROWS}: bfloat16 weights where they
 * lie, others decoded and rounded block by block. The library runs on the calling thread; only the
 * team runs in parallel. Whether a sum has the same bits for other numbers of vectors is the
 * library's affair: this is not part of the promise of equal bits.
 *
 * <p>What a shape of product needs is compiled when it first comes and kept; a step that has only
 * known shapes allocates nothing. Owned by an executable, which closes it after its last step.
 */
public final class Products implements AutoCloseable {

  /** Rows that are multiplied together; the work of threads begins at multiples of them. */
  public static final int ROWS = 64;

  /** Fewest vectors for which this pays off. */
  public static final int WORTH = 16;

  /** Most vectors of one call. */
  static final int MOST = 512;

  /** Bytes of the library's own scratch that the first shapes need. */
  static final long PAD_BYTES = 1 << 18;

  private final Library library;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment vectors;
  private final Worker[] workers;

  /**
   * Creates the products of a team.
   *
   * @param threads the team's threads
   * @param elements elements of the vectors of an operation, each filled up ({@link #padded})
   * @param cols most columns of a matrix
   * @throws dev.fathom.error.BackendException where the library is not there
   */
  public Products(int threads, long elements, int cols) {
    this.library = Library.get();
    this.vectors = arena.allocate(vectorBytes(elements, cols), 64);
    this.workers = new Worker[threads];
    for (int i = 0; i < threads; i++) {
      workers[i] = new Worker(library, cols, arena);
    }
  }

  /**
   * Loads the library.
   *
   * @throws dev.fathom.error.BackendException where it is not there or this machine cannot run it
   */
  public static void require() {
    Library.get();
  }

  /** Returns the elements that a vector of so many takes. */
  public static int padded(int cols) {
    return Bf16Layout.padded(cols);
  }

  /** Returns an upper bound of the bytes that products of these sizes take, but compiled code. */
  public static long bytes(int threads, long elements, int cols) {
    return vectorBytes(elements, cols)
        + threads * (panelBytes(cols) + (long) MOST * ROWS * Float.BYTES + 2 * PAD_BYTES)
        + (long) threads * Matrix.scratchLen(cols) * Float.BYTES;
  }

  /** A call may read vectors behind the last one, whose results nobody reads. */
  private static long vectorBytes(long elements, int cols) {
    return (elements + (long) ROWS * padded(cols)) * Short.BYTES;
  }

  static long panelBytes(int cols) {
    return (long) ROWS * padded(cols) * Short.BYTES;
  }

  /**
   * Rounds vectors [from, to) to where {@link #multiply} reads them; parts of all vectors of an
   * operation may be rounded by different threads.
   *
   * @param rows vector i begins at in[rows[i] * len]
   * @param len elements of a vector
   */
  public void round(float[] in, int[] rows, int len, int from, int to) {
    int padded = padded(len);
    for (int i = from; i < to; i++) {
      long at = (long) i * padded * Short.BYTES;
      Bf16Round.run(in, rows[i] * len, vectors, at, len);
      vectors
          .asSlice(at + (long) len * Short.BYTES, (long) (padded - len) * Short.BYTES)
          .fill((byte) 0);
    }
  }

  /**
   * Computes out[outOff + i * outStride + r] = row r * vector (first + i) for i in [0, n) and r in
   * [from, to).
   *
   * @param matrix rows of as many columns as the rounded vectors have elements
   * @param part which of the team's threads this is
   */
  public void multiply(
      Matrix matrix,
      int from,
      int to,
      int first,
      int n,
      float[] out,
      int outOff,
      int outStride,
      int part) {
    int padded = padded(matrix.cols());
    long in = vectors.address() + (long) first * padded * Short.BYTES;
    Worker worker = workers[part];
    worker.begin();
    for (int row = from / ROWS * ROWS; row < to; row += ROWS) {
      int begin = Math.max(from, row);
      int end = Math.min(to, row + ROWS);
      long weights = worker.weights(matrix, row);
      for (int i = 0; i < n; i += MOST) {
        int m = Math.min(MOST, n - i);
        worker.multiply(matrix, row, weights, in + (long) i * padded * Short.BYTES, m);
        worker.copy(begin - row, end - begin, m, out, outOff + i * outStride + begin, outStride);
      }
    }
  }

  @Override
  public void close() {
    for (Worker worker : workers) {
      worker.close();
    }
    arena.close();
  }
}
