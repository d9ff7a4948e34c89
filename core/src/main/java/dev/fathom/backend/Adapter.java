package dev.fathom.backend;

import dev.fathom.error.Text;
import dev.fathom.program.WeightRef;
import java.util.Map;

/**
 * A low-rank adapter (LoRA, arXiv 2106.09685): for each named linear, out += scale * (input * A^T)
 * * B^T.
 *
 * <p>A delta may sit on every linear of {@link dev.fathom.program.Linears}: plain ones, the head,
 * each expert's gate, up and down, and {@code kv_b} of latent attention.
 *
 * @param name what diagnostics show
 * @param deltas by the name of the linear operation
 */
public record Adapter(String name, Map<String, Delta> deltas) {

  /** Copies the map. */
  public Adapter {
    deltas = Map.copyOf(deltas);
  }

  /** Returns the bytes of all factors. */
  public long bytes() {
    long floats = 0;
    for (Delta delta : deltas.values()) {
      floats += delta.a.length + (long) delta.b.length;
    }
    return floats * Float.BYTES;
  }

  /**
   * Checks that every delta belongs to a linear and has its widths.
   *
   * @throws IllegalArgumentException naming the first that does not
   */
  public void requireFit(Map<String, WeightRef> linears) {
    deltas.forEach((linear, delta) -> {
      WeightRef weight = linears.get(linear);
      if (weight == null) {
        throw new IllegalArgumentException(
            "adapter: expected a linear of the program, got " + Text.quote(linear));
      }
      if (!delta.fits(weight)) {
        throw new IllegalArgumentException(
            "adapter: expected factors of " + weight + ", got other sizes for " + linear);
      }
    });
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

    /** Returns the delta times a factor; shares the arrays. */
    public Delta scaled(float factor) {
      return new Delta(a, b, rank, scale * factor);
    }

    /** Returns whether it fits a matrix. */
    boolean fits(WeightRef weight) {
      return a.length == (long) rank * weight.cols() && b.length == (long) rank * weight.rows();
    }
  }
}
