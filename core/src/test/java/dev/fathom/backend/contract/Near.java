package dev.fathom.backend.contract;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;

/** Comparisons of float32 results with float64 expectations. */
public final class Near {

  /** Below the normal float32 numbers nothing is promised. */
  private static final double TINY = 1e-36;

  private Near() {}

  /**
   * Asserts |got - want| at most relative * magnitude, element by element; NaN where NaN is wanted
   * and nowhere else.
   */
  public static void elementwise(
      String what, float[] got, double[] want, double[] magnitude, double relative) {
    assertThat(got.length).as(what + ": elements").isEqualTo(want.length);
    for (int i = 0; i < want.length; i++) {
      double allowed = relative * magnitude[i] + TINY;
      boolean near =
          Double.isNaN(want[i]) ? Float.isNaN(got[i]) : Math.abs(got[i] - want[i]) <= allowed;
      if (!near) {
        throw new AssertionError(
            what + "[" + i + "]: expected " + want[i] + " +- " + allowed + ", got " + got[i]);
      }
    }
  }

  /** Asserts |got - want| at most relative * |want|. */
  public static void relative(String what, float[] got, double[] want, double relative) {
    double[] magnitude = Arrays.stream(want).map(Math::abs).toArray();
    elementwise(what, got, want, magnitude, relative);
  }

  /** Asserts |got - want| at most relative * max|want|, over what is no NaN. */
  public static void ofLargest(String what, float[] got, double[] want, double relative) {
    double largest =
        Arrays.stream(want).filter(v -> !Double.isNaN(v)).map(Math::abs).max().orElse(0);
    double[] magnitude = new double[want.length];
    Arrays.fill(magnitude, largest);
    elementwise(what, got, want, magnitude, relative);
  }

  /** Asserts the same bits, or nearness where a backend does not promise them. */
  public static void same(
      String what, float[] got, float[] want, boolean bitIdentical, double relative) {
    if (!bitIdentical) {
      ofLargest(what, got, Formulas.widen(want), relative);
      return;
    }
    assertThat(got.length).as(what + ": elements").isEqualTo(want.length);
    for (int i = 0; i < want.length; i++) {
      if (Float.compare(got[i], want[i]) != 0) {
        throw new AssertionError(
            what + "[" + i + "]: expected the bits of " + want[i] + ", got " + got[i]);
      }
    }
  }
}
