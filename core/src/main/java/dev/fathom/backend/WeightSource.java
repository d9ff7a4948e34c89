package dev.fathom.backend;

import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;

/** Hands out the stored bytes of weights, one after the other, in the checkpoint's format. */
@FunctionalInterface
public interface WeightSource {

  /**
   * Returns a weight's bytes. The matrix stays valid as long as the source's arena.
   *
   * @throws dev.fathom.error.CheckpointException where the bytes cannot be read
   */
  WeightMatrix read(WeightRef weight);
}
