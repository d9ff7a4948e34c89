package dev.fathom.quant;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The stored bytes of a matrix and how to decode them; one record a format.
 *
 * <p>Indices are not checked: {@link WeightMatrix} does that. {@code get} and {@code decodeRow}
 * give the same bits and allocate nothing. Segments are read-only.
 */
sealed interface Storage permits DenseStorage, BlockFp8Storage, Mxfp4Storage, IntegerStorage {
  WeightFormat format();

  int rows();

  int cols();

  /** The elements. */
  MemorySegment data();

  /** Where everything lies; null for dense formats. */
  default @Nullable WeightLayout layout() {
    return null;
  }

  default @Nullable MemorySegment scales() {
    return null;
  }

  default @Nullable MemorySegment zeroPoints() {
    return null;
  }

  default @Nullable MemorySegment groupIndex() {
    return null;
  }

  float get(int r, int c);

  void decodeRow(int r, float[] out, int off);
}
