package dev.fathom.jmh;

/**
 * What the machine can do at most with a number of threads, as measured between the kernels.
 *
 * @param gigabytes 10^9 bytes a second read from memory
 * @param gigaflops 10^9 float32 multiplications and additions a second
 */
record Limits(double gigabytes, double gigaflops) {

  /** Returns the limits half way between these and others. */
  Limits mean(Limits other) {
    return new Limits((gigabytes + other.gigabytes) / 2, (gigaflops + other.gigaflops) / 2);
  }

  /** Returns the larger share of a limit that a kernel reaches, or NaN if it does neither. */
  double share(double kernelGigabytes, double kernelGigaflops) {
    double share = Math.max(kernelGigabytes / gigabytes, kernelGigaflops / gigaflops);
    return share == 0 ? Double.NaN : share;
  }

  /** Returns whether memory, not arithmetic, is the limit that a kernel is nearer to. */
  boolean isMemory(double kernelGigabytes, double kernelGigaflops) {
    return kernelGigabytes / gigabytes >= kernelGigaflops / gigaflops;
  }
}
