package dev.fathom.quantization;

import java.util.Arrays;

/**
 * Vectors of an activation that a calibration kept, and the mean magnitude of each channel over all
 * it saw. Filled by one thread, then read by many.
 *
 * <p>Of {@code expected} vectors at most {@code most} are kept, evenly spaced.
 */
final class Samples {

  private final int width;
  private final int stride;
  private final float[] data;
  private final double[] magnitude;
  private long numSeen;
  private int numKept;

  /**
   * Makes room.
   *
   * @param width C
   * @param expected vectors that will come, at least 1
   * @param most vectors to keep, at least 1
   */
  Samples(int width, long expected, int most) {
    this.width = width;
    this.stride = Math.toIntExact(Math.max(1, Math.ceilDiv(expected, most)));
    this.data = new float[Math.multiplyExact((int) Math.min(expected, most), width)];
    this.magnitude = new double[width];
  }

  /** Takes rows [n, C] from {@code offset}. */
  void add(float[] rows, int n) {
    for (int r = 0; r < n; r++, numSeen++) {
      int from = r * width;
      for (int c = 0; c < width; c++) {
        magnitude[c] += Math.abs(rows[from + c]);
      }
      if (numSeen % stride == 0 && (numKept + 1) * width <= data.length) {
        System.arraycopy(rows, from, data, numKept * width, width);
        numKept++;
      }
    }
  }

  /** C. */
  int width() {
    return width;
  }

  /** Number of kept vectors. */
  int size() {
    return numKept;
  }

  /** The kept vectors, [n, C] row-major. */
  float[] rows() {
    return numKept * width == data.length ? data : Arrays.copyOf(data, numKept * width);
  }

  /** Mean |x| of each channel over all vectors seen. */
  float[] meanMagnitude() {
    float[] mean = new float[width];
    for (int c = 0; c < width; c++) {
      mean[c] = (float) (magnitude[c] / Math.max(1, numSeen));
    }
    return mean;
  }
}
