package dev.fathom.program;

import java.util.Arrays;

/**
 * A rotary position embedding: one frequency for each pair of elements.
 *
 * <p>Pair i of a vector at position t is turned by the angle {@code (float) t *
 * inverseFrequency(i)}, rounded to float32 before sine and cosine are taken, and scaled by {@link
 * #amplitude()}. Immutable.
 */
public final class RopeSpec {

  private final float[] inverseFrequencies;
  private final float amplitude;
  private final RopeLayout layout;

  /**
   * Creates a rotary embedding.
   *
   * @param inverseFrequencies radians a position, one for each pair; copied
   * @param amplitude factor on sine and cosine, 1 unless YaRN says otherwise
   * @param layout which elements form a pair
   */
  public RopeSpec(float[] inverseFrequencies, float amplitude, RopeLayout layout) {
    if (inverseFrequencies.length == 0) {
      throw new IllegalArgumentException("rope: expected at least one frequency, got 0");
    }
    this.inverseFrequencies = inverseFrequencies.clone();
    this.amplitude = amplitude;
    this.layout = layout;
  }

  /** Returns the number of elements that are turned: twice the number of pairs. */
  public int dim() {
    return 2 * inverseFrequencies.length;
  }

  /** Returns the radians a position of one pair. */
  public float inverseFrequency(int pair) {
    return inverseFrequencies[pair];
  }

  /** Returns the factor on sine and cosine. */
  public float amplitude() {
    return amplitude;
  }

  /** Returns the rotation that undoes this one at every position. */
  public RopeSpec inverse() {
    float[] negated = inverseFrequencies.clone();
    for (int i = 0; i < negated.length; i++) {
      negated[i] = -negated[i];
    }
    return new RopeSpec(negated, 1 / amplitude, layout);
  }

  /** Returns the same frequencies under another layout. */
  public RopeSpec withLayout(RopeLayout other) {
    return new RopeSpec(inverseFrequencies, amplitude, other);
  }

  /** Returns which elements form a pair. */
  public RopeLayout layout() {
    return layout;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof RopeSpec that
        && Arrays.equals(inverseFrequencies, that.inverseFrequencies)
        && amplitude == that.amplitude
        && layout == that.layout;
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(inverseFrequencies) + layout.hashCode();
  }

  @Override
  public String toString() {
    return "rope(dim=" + dim() + ", " + layout + ", amplitude=" + amplitude + ")";
  }
}
