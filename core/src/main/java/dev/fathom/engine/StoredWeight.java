package dev.fathom.engine;

import dev.fathom.backend.LargePageArena;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A weight as a checkpoint stores it: the tensors it is made of, and how to read them.
 *
 * @param shape as an architecture sees it: [out, in] for a matrix, whatever the tensors' shapes
 * @param format of the elements
 * @param tensors all tensors, the one with the elements first
 * @param bytes in memory; an upper bound where zero points may turn out to be symmetric
 * @param recipe reads it
 */
record StoredWeight(
    List<Long> shape, WeightFormat format, List<TensorInfo> tensors, long bytes, Recipe recipe) {

  /** Makes a matrix of tensors. */
  @FunctionalInterface
  interface Recipe {
    WeightMatrix read(Source source);
  }

  /**
   * Where the bytes come from.
   *
   * @param segments reads a tensor
   * @param arena owns what is allocated
   */
  record Source(CheckpointWeights.Segments segments, Arena arena) {

    private static final long ALIGNMENT = 64;

    MemorySegment of(TensorInfo tensor) {
      return segments.of(tensor, arena);
    }

    /** Reads scales, which must be finite: one that is not spoils its group without a sound. */
    MemorySegment scales(TensorInfo tensor) {
      MemorySegment bytes = of(tensor);
      FiniteScales.check(tensor, bytes);
      return bytes;
    }

    MemorySegment allocate(long bytes) {
      return arena.allocate(bytes, ALIGNMENT);
    }

    /** Reads words into memory of their own, which ends here, and keeps them row-major. */
    WeightMatrix repacked(Recipe words) {
      try (Arena temporary = LargePageArena.open()) {
        return words
            .read(new Source(segments, temporary))
            .repack((bytes, alignment) -> arena.allocate(bytes, Math.max(alignment, ALIGNMENT)));
      }
    }
  }

  /** Returns the bytes in the files. */
  long storedBytes() {
    return tensors.stream().mapToLong(TensorInfo::byteLength).sum();
  }

  /** The error for a tensor that is not what its name, the others or the configuration say. */
  static ModelConfigException mismatch(TensorInfo tensor, String why) {
    return new ModelConfigException(
        ErrorCode.TENSOR_MISMATCH,
        "The tensor " + Text.quote(tensor.name()) + " cannot be used",
        why,
        "use the config.json that belongs to these weights, or convert them");
  }
}
