package dev.fathom.backend.reference;

/** Dot products in float64 with four partial sums, added in one fixed order. */
final class Dot {

  private Dot() {}

  /** Returns sum over i of a[aOff + i] * b[bOff + i], rounded once to float32. */
  static float of(float[] a, int aOff, float[] b, int bOff, int len) {
    double s0 = 0;
    double s1 = 0;
    double s2 = 0;
    double s3 = 0;
    int i = 0;
    for (; i + 4 <= len; i += 4) {
      s0 += (double) a[aOff + i] * b[bOff + i];
      s1 += (double) a[aOff + i + 1] * b[bOff + i + 1];
      s2 += (double) a[aOff + i + 2] * b[bOff + i + 2];
      s3 += (double) a[aOff + i + 3] * b[bOff + i + 3];
    }
    for (; i < len; i++) {
      s0 += (double) a[aOff + i] * b[bOff + i];
    }
    return (float) ((s0 + s1) + (s2 + s3));
  }
}
