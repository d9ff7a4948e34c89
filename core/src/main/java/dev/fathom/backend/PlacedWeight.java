package dev.fathom.backend;

import dev.fathom.program.WeightRef;

/** A weight in the form and place that a backend's kernels read. Immutable. */
public interface PlacedWeight {

  /** Returns which weight this is. */
  WeightRef ref();
}
