package dev.fathom.cpu.onednn;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.fathom.cpu.kernel.Bf16Layout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * The compiled product of M vectors with some rows of C columns, for one thread: out[m][r] = sum of
 * vector m times row r, bfloat16 in and float32 out.
 *
 * <p>Vectors lie one after the other, results {@link Products#ROWS} floats apart. Owns what it
 * created in the library until {@link #close}.
 */
final class Product implements AutoCloseable {

  private static final int BF16 = 2;
  private static final int F32 = 3;

  /** Where columns 2 k and 2 k + 1 of 32 or 64 rows lie together: [panel][C / 2][32][2]. */
  private static final int PANELS_OF_32 = 382;

  private static final int PANELS_OF_64 = 384;

  private static final int SOURCE = 1;
  private static final int RESULT = 17;
  private static final int WEIGHTS = 33;
  private static final int SCRATCHPAD = 80;
  private static final int[] ARGUMENTS = {SOURCE, WEIGHTS, RESULT, SCRATCHPAD};
  private static final int ARGUMENT_BYTES = 16;

  private static final int SCRATCHPAD_OF_CALLER = 1;
  private static final int QUERY_SCRATCHPAD = 136;
  private static final int MAX_DIMENSIONS = 12;

  private final Library library;
  private final MemorySegment pointer;
  private final MemorySegment arguments;
  private final long[] memories = new long[ARGUMENTS.length];
  private final long primitive;
  private final long padBytes;

  /**
   * Compiles a product; takes about a millisecond.
   *
   * @param vectors M
   * @param cols C, and for panels rounded up to 32
   * @param vectorStride elements from one vector to the next
   * @param rows rows, as many as panels hold for these
   * @param layout of the weights
   */
  Product(
      Library library,
      int vectors,
      int cols,
      int vectorStride,
      int rows,
      Bf16Layout layout,
      Arena arena) {
    this.library = library;
    this.pointer = arena.allocate(JAVA_LONG);
    this.arguments = arena.allocate((long) ARGUMENT_BYTES * ARGUMENTS.length, 16);
    library.useOneThread();
    try (Arena dims = Arena.ofConfined()) {
      long source = rowMajor(dims, BF16, vectors, cols, vectorStride, 1);
      long weights =
          switch (layout) {
            case ROWS -> rowMajor(dims, BF16, cols, rows, 1, cols);
            case PANELS_OF_32 -> panels(dims, cols, rows, PANELS_OF_32);
            case PANELS_OF_64 -> panels(dims, cols, rows, PANELS_OF_64);
          };
      long result = rowMajor(dims, F32, vectors, rows, Products.ROWS, 1);
      long description = describe(source, weights, result);
      long pad = (long) library.queryDescription.invokeExact(description, QUERY_SCRATCHPAD, 0);
      this.padBytes = (long) library.bytesOf.invokeExact(pad);
      Library.check((int) library.createPrimitive.invokeExact(pointer.address(), description));
      this.primitive = pointer.get(JAVA_LONG, 0);
      long[] descriptions = {source, weights, result, pad};
      for (int i = 0; i < ARGUMENTS.length; i++) {
        memories[i] = memory(descriptions[i]);
        arguments.set(JAVA_INT, (long) ARGUMENT_BYTES * i, ARGUMENTS[i]);
        arguments.set(JAVA_LONG, (long) ARGUMENT_BYTES * i + Long.BYTES, memories[i]);
      }
      Library.check((int) library.destroyMatmul.invokeExact(description));
      for (int i = 0; i < 3; i++) {
        Library.check((int) library.destroyDescription.invokeExact(descriptions[i]));
      }
    } catch (Throwable t) {
      throw Library.rethrow(t);
    }
  }

  private long describe(long source, long weights, long result) throws Throwable {
    Library.check((int) library.createAttributes.invokeExact(pointer.address()));
    long attributes = pointer.get(JAVA_LONG, 0);
    Library.check((int) library.setScratchpad.invokeExact(attributes, SCRATCHPAD_OF_CALLER));
    Library.check(
        (int)
            library.describeMatmul.invokeExact(
                pointer.address(), library.engine, source, weights, 0L, result, attributes));
    long description = pointer.get(JAVA_LONG, 0);
    Library.check((int) library.destroyAttributes.invokeExact(attributes));
    return description;
  }

  private static MemorySegment pair(Arena arena, long first, long second) {
    MemorySegment values = arena.allocate(JAVA_LONG, MAX_DIMENSIONS);
    values.setAtIndex(JAVA_LONG, 0, first);
    values.setAtIndex(JAVA_LONG, 1, second);
    return values;
  }

  private long rowMajor(Arena arena, int type, int rows, int cols, int rowStride, int colStride)
      throws Throwable {
    long dims = pair(arena, rows, cols).address();
    long strides = pair(arena, rowStride, colStride).address();
    Library.check(
        (int) library.describeStrides.invokeExact(pointer.address(), 2, dims, type, strides));
    return pointer.get(JAVA_LONG, 0);
  }

  private long panels(Arena arena, int cols, int rows, int tag) throws Throwable {
    long dims = pair(arena, cols, rows).address();
    Library.check((int) library.describeTag.invokeExact(pointer.address(), 2, dims, BF16, tag));
    return pointer.get(JAVA_LONG, 0);
  }

  private long memory(long description) throws Throwable {
    Library.check(
        (int) library.createMemory.invokeExact(pointer.address(), description, library.engine, 0L));
    return pointer.get(JAVA_LONG, 0);
  }

  /** Returns the bytes that {@link #run} needs at the address {@code pad}. */
  long padBytes() {
    return padBytes;
  }

  /** Multiplies what lies at these addresses. */
  void run(long stream, long vectors, long weights, long result, long pad) {
    MethodHandle set = library.setData;
    try {
      Library.check((int) set.invokeExact(memories[0], vectors));
      Library.check((int) set.invokeExact(memories[1], weights));
      Library.check((int) set.invokeExact(memories[2], result));
      Library.check((int) set.invokeExact(memories[3], pad));
      int count = ARGUMENTS.length;
      Library.check(
          (int) library.execute.invokeExact(primitive, stream, count, arguments.address()));
    } catch (Throwable t) {
      throw Library.rethrow(t);
    }
  }

  @Override
  public void close() {
    try {
      for (long memory : memories) {
        Library.check((int) library.destroyMemory.invokeExact(memory));
      }
      Library.check((int) library.destroyPrimitive.invokeExact(primitive));
    } catch (Throwable t) {
      throw Library.rethrow(t);
    }
  }
}
