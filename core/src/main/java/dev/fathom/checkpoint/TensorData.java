package dev.fathom.checkpoint;

import java.lang.foreign.MemorySegment;

/** Gives the bytes of tensors to a writer, one tensor after the other. */
@FunctionalInterface
public interface TensorData {
  /**
   * Appends exactly {@link TensorSpec#byteLength} bytes, in as many pieces as is convenient.
   *
   * @param tensor that is being written
   * @param sink takes its bytes: little-endian, row-major
   */
  void write(TensorSpec tensor, Sink sink);

  /** Takes bytes of the current tensor. */
  @FunctionalInterface
  interface Sink {
    /** Appends all bytes of the segment; it may be reused when this returns. */
    void write(MemorySegment bytes);
  }
}
