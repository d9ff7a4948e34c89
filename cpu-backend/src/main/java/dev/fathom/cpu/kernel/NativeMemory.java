package dev.fathom.cpu.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Tells the compiler that a segment is memory outside the heap.
 *
 * <p>A segment's class says how its elements are reached. The JDK asks for it in methods that all
 * readers of segments share, so the compiler guesses it from what the whole process has read: after
 * mapped files, own memory and arrays of the heap have passed there, each load of a kernel asks
 * again, at a third to two thirds of the speed. A cast to the class of native memory, of which
 * mapped memory is a subclass in the JDK, answers once for a whole loop (decision 0050).
 */
final class NativeMemory {

  private static final Class<? extends MemorySegment> NATIVE = MemorySegment.NULL.getClass();

  private NativeMemory() {}

  /** Returns the segment; a loop that reads the returned one is compiled for native memory. */
  static MemorySegment of(MemorySegment segment) {
    return NATIVE.isInstance(segment) ? NATIVE.cast(segment) : segment;
  }
}
