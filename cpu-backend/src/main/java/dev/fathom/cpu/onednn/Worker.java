package dev.fathom.cpu.onednn;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.fathom.cpu.kernel.Bf16Layout;
import dev.fathom.cpu.kernel.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What one thread of the team needs: its compiled products and its memory. */
final class Worker implements AutoCloseable {

  private static final int ROWS = Products.ROWS;

  private final Library library;
  private final Arena arena;
  private final MemorySegment panel;
  private final MemorySegment results;
  private final float[] scratch;
  private final long stream;
  private final List<Shapes> shapes = new ArrayList<>();
  private MemorySegment pad = MemorySegment.NULL;
  private @Nullable Thread thread;

  /** The products with rows of one length in one layout, by rows and classes of vectors. */
  private record Shapes(int cols, Bf16Layout layout, @Nullable Product[][] products) {}

  Worker(Library library, int cols, Arena arena) {
    this.scratch = new float[Matrix.scratchLen(cols)];
    this.library = library;
    this.arena = arena;
    this.panel = arena.allocate(Products.panelBytes(cols), 64);
    this.results = arena.allocate((long) Products.MOST * ROWS * Float.BYTES, 64);
    MemorySegment pointer = arena.allocate(JAVA_LONG);
    try {
      int inOrder = 1;
      Library.check(
          (int) library.createStream.invokeExact(pointer.address(), library.engine, inOrder));
    } catch (Throwable t) {
      throw Library.rethrow(t);
    }
    this.stream = pointer.get(JAVA_LONG, 0);
  }

  /** Tells the library that it runs on this thread alone. */
  void begin() {
    if (thread != Thread.currentThread()) {
      library.useOneThread();
      thread = Thread.currentThread();
    }
  }

  /** Returns the address of the rows from a multiple of {@link Products#ROWS} on. */
  long weights(Matrix matrix, int row) {
    MemorySegment stored = matrix.bf16Stored();
    if (stored != null) {
      return stored.address() + (long) row * cols(matrix) * Short.BYTES;
    }
    int end = Math.min(matrix.rows(), row + ROWS);
    matrix.decodeBf16(row, end, panel, scratch);
    return panel.address();
  }

  /** Multiplies a block of rows with m vectors. */
  void multiply(Matrix matrix, int row, long weights, long vectors, int m) {
    // A panel is whole; of stored rows those behind the last one are not ours to read.
    int left = matrix.rows() - row;
    int rows =
        switch (matrix.bf16Layout()) {
          case ROWS -> matrix.bf16Stored() == null ? ROWS : Math.min(ROWS, left);
          case PANELS_OF_32 -> left <= ROWS / 2 ? ROWS / 2 : ROWS;
          case PANELS_OF_64 -> ROWS;
        };
    Product product = product(matrix, rows, m);
    product.run(stream, vectors, weights, results.address(), pad(product.padBytes()));
  }

  /** Copies the results of rows [row, row + len) of the block. */
  void copy(int row, int len, int m, float[] out, int outOff, int outStride) {
    for (int i = 0; i < m; i++) {
      long from = ((long) i * ROWS + row) * Float.BYTES;
      MemorySegment.copy(results, JAVA_FLOAT, from, out, outOff + i * outStride, len);
    }
  }

  private long pad(long bytes) {
    if (pad.byteSize() < bytes) {
      pad = arena.allocate(Math.max(bytes, Products.PAD_BYTES), 64);
    }
    return pad.address();
  }

  private Product product(Matrix matrix, int rows, int m) {
    Bf16Layout layout = matrix.bf16Layout();
    Shapes found = null;
    for (int i = 0; i < shapes.size(); i++) {
      Shapes some = shapes.get(i);
      if (some.cols == matrix.cols() && some.layout == layout) {
        found = some;
      }
    }
    if (found == null) {
      found = new Shapes(matrix.cols(), layout, new Product[ROWS + 1][]);
      shapes.add(found);
    }
    @Nullable Product[] ofRows = found.products[rows];
    if (ofRows == null) {
      ofRows = new Product[index(Products.MOST) + 1];
      found.products[rows] = ofRows;
    }
    Product product = ofRows[index(m)];
    if (product == null) {
      int padded = Products.padded(matrix.cols());
      product = new Product(library, capacity(m), cols(matrix), padded, rows, layout, arena);
      ofRows[index(m)] = product;
    }
    return product;
  }

  /** Returns the columns of a matrix as they lie: those of panels are filled up. */
  private static int cols(Matrix matrix) {
    boolean isInRows = matrix.bf16Layout() == Bf16Layout.ROWS;
    return isInRows ? matrix.cols() : Products.padded(matrix.cols());
  }

  /** Returns the number of vectors that so many are multiplied as: at most an eighth too much. */
  static int capacity(int m) {
    int step = m <= 64 ? 8 : m <= 128 ? 16 : 64;
    return Math.ceilDiv(m, step) * step;
  }

  /** Returns the place of {@link #capacity} among all capacities. */
  private static int index(int m) {
    int capacity = capacity(m);
    return capacity <= 64
        ? capacity / 8 - 1
        : capacity <= 128 ? 7 + (capacity - 64) / 16 : 11 + (capacity - 128) / 64;
  }

  @Override
  public void close() {
    for (Shapes some : shapes) {
      for (@Nullable Product[] ofRows : some.products) {
        if (ofRows != null) {
          for (Product product : ofRows) {
            if (product != null) {
              product.close();
            }
          }
        }
      }
    }
    try {
      Library.check((int) library.destroyStream.invokeExact(stream));
    } catch (Throwable t) {
      throw Library.rethrow(t);
    }
  }
}
