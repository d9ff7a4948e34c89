package dev.fathom.cpu.kernel;

/** Layer norm of one vector in float64, in scalar code: it serves the short index keys of V3.2. */
public final class LayerNorm {

  private LayerNorm() {}

  /**
   * Computes out[off + i] = (in[off + i] - mean) / sqrt(variance + eps) * weight[i] + bias[i] over
   * the length of the weight.
   *
   * @param in input, may be out
   * @param off first element of the vector in both arrays
   * @param weight factor of each element
   * @param bias added to each element
   * @param eps added to the variance
   * @param out result
   */
  public static void run(
      float[] in, int off, float[] weight, float[] bias, float eps, float[] out) {
    int len = weight.length;
    double sum = 0;
    for (int i = 0; i < len; i++) {
      sum += in[off + i];
    }
    double mean = sum / len;
    double squares = 0;
    for (int i = 0; i < len; i++) {
      squares += (in[off + i] - mean) * (in[off + i] - mean);
    }
    double inverse = 1.0 / Math.sqrt(squares / len + eps);
    for (int i = 0; i < len; i++) {
      out[off + i] = (float) ((in[off + i] - mean) * inverse) * weight[i] + bias[i];
    }
  }
}
