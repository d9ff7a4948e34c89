package dev.fathom.backend;

import java.util.Map;

/**
 * A low-rank adapter (LoRA): for each named linear, out += scale * (input * A^T) * B^T.
 *
 * @param name what diagnostics show
 * @param deltas by the name of the linear operation
 */
public record Adapter(String name, Map<String, Delta> deltas) {

  /** Copies the map. */
  public Adapter {
    deltas = Map.copyOf(deltas);
  }

  /**
   * The two factors for one linear, row-major float32. The arrays are not copied and must not
   * change.
   *
   * @param a [rank, in]
   * @param b [out, rank]
   * @param rank inner dimension, at least 1
   * @param scale usually alpha / rank
   */
  public record Delta(float[] a, float[] b, int rank, float scale) {

    /** Checks that both factors have whole rows. */
    public Delta {
      if (rank < 1 || a.length % rank != 0 || b.length % rank != 0) {
        throw new IllegalArgumentException(
            "adapter: expected whole rows of rank >= 1: rank="
                + rank
                + " a="
                + a.length
                + " b="
                + b.length);
      }
    }
  }
}
