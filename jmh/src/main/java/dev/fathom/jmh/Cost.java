package dev.fathom.jmh;

/**
 * What one step does, in the units of the counters.
 *
 * @param bytes from memory
 * @param cachedBytes from and to the cache
 * @param flops two for each multiplication with its addition
 */
record Cost(double bytes, double cachedBytes, double flops) {

  static Cost streamed(double bytes, double flops) {
    return new Cost(bytes, 0, flops);
  }

  static Cost cached(double cachedBytes) {
    return new Cost(0, cachedBytes, 0);
  }
}
