package dev.fathom.quant;

import org.jspecify.annotations.Nullable;

/**
 * How the integers of a matrix are chosen.
 *
 * @param clip the range of each group
 * @param rounding which codes, or null for the nearest
 */
public record WeightSearch(ClipSearch clip, @Nullable RoundingSearch rounding) {

  /** The whole range and the nearest codes. */
  public static final WeightSearch NONE = new WeightSearch(ClipSearch.NONE, null);
}
