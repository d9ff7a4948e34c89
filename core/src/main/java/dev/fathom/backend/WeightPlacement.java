package dev.fathom.backend;

/** Whether a backend may copy weights that it can read as they are stored. */
public enum WeightPlacement {
  /** Copied once into the layout that the kernels stream fastest. */
  PACKED,
  /**
   * Read where they lie wherever a kernel can: weights of mapped files take no memory of their own.
   */
  IN_PLACE
}
