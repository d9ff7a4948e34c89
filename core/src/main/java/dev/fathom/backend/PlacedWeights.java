package dev.fathom.backend;

import dev.fathom.program.WeightRef;
import java.util.HashMap;
import java.util.Map;

/** The placed weights of a model by tensor name. Immutable once built; safe to share. */
public final class PlacedWeights {

  private final Map<String, PlacedWeight> byName;

  /** Copies the map. */
  public PlacedWeights(Map<String, ? extends PlacedWeight> byName) {
    this.byName = new HashMap<>(byName);
  }

  /**
   * Returns the placed weight.
   *
   * @throws IllegalArgumentException where it was not placed
   */
  public PlacedWeight get(WeightRef weight) {
    PlacedWeight placed = byName.get(weight.name());
    if (placed == null) {
      throw new IllegalArgumentException("weights: expected a placed weight, got " + weight);
    }
    return placed;
  }
}
