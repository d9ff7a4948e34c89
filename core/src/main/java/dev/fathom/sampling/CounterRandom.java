package dev.fathom.sampling;

/**
 * Random numbers as a function of a seed and a counter, so that a number does not depend on how
 * many were drawn before it.
 *
 * <p>Two rounds of the 64-bit finalizer of SplitMix64 with D. Stafford's constants (variant 13),
 * one for the seed and one for the counter, so that neighbouring seeds give unrelated sequences.
 */
public final class CounterRandom {

  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;
  private static final long CHOICES = 0xD1B54A32D192ED03L;
  private static final double UNIT = 0x1p-53;

  private CounterRandom() {}

  /** Returns 64 random bits. */
  public static long bits(long seed, long counter) {
    return mix(mix(seed + GOLDEN_GAMMA) + GOLDEN_GAMMA * (counter + 1));
  }

  /** Returns a number of [0, 1) with 53 random bits. */
  public static double uniform(long seed, long counter) {
    return (bits(seed, counter) >>> 11) * UNIT;
  }

  /** Returns the seed of one of the choices of a request; the first has the request's own. */
  public static long seedOfChoice(long seed, int choice) {
    return choice == 0 ? seed : bits(seed ^ CHOICES, choice);
  }

  private static long mix(long value) {
    long z = (value ^ (value >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
