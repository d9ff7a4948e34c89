package dev.fathom.quant;

/**
 * The values that the integers of one group can have: {@code (code - zero) · scale} for unsigned
 * codes of 4 or 8 bits.
 *
 * <p>The scale is rounded to its stored type before codes are chosen, upwards, so that a range that
 * was fitted is covered and each value in it lies within half a scale of the grid.
 *
 * <p>Mutable and reused from group to group; one thread.
 */
final class IntegerGrid {
  private final int middle;
  private final int last;
  private final ZeroPoints zeros;
  private final WeightFormat scaleFormat;
  private float scale = 1f;
  private int zero;

  IntegerGrid(int bits, ZeroPoints zeros, WeightFormat scaleFormat) {
    this.middle = 1 << (bits - 1);
    this.last = (1 << bits) - 1;
    this.zeros = zeros;
    this.scaleFormat = scaleFormat;
  }

  float scale() {
    return scale;
  }

  int zero() {
    return zero;
  }

  /**
   * Takes the grid that covers [low, high], which must contain zero. An empty range gets scale 1.
   *
   * <p>Symmetric: the largest magnitude is the code middle ± (middle - 1), so that a matrix which
   * was quantized before is met exactly; the lowest code is for clipped values alone.
   */
  void fit(float low, float high) {
    if (low == high) {
      scale = 1f;
      zero = zeros == ZeroPoints.SYMMETRIC ? middle : 0;
    } else if (zeros == ZeroPoints.SYMMETRIC) {
      scale = roundUp((float) ((double) Math.max(-low, high) / (middle - 1)));
      zero = middle;
    } else {
      scale = roundUp((float) (((double) high - low) / last));
      zero = Math.clamp((long) Math.rint((double) -low / scale), 0, last);
    }
  }

  /** The code nearest to a value, ties to the even multiple of the scale, clamped to the ends. */
  int code(float value) {
    return Math.clamp((long) Math.rint((double) value / scale) + zero, 0, last);
  }

  /** The value of a code, as {@link WeightMatrix} decodes it. */
  float value(int code) {
    return (code - zero) * scale;
  }

  private float roundUp(float exact) {
    float rounded =
        switch (scaleFormat) {
          case F32 -> Math.max(exact, Float.MIN_VALUE);
          case F16 -> halfUp(exact);
          case BF16 -> bf16Up(exact);
          default -> throw LittleEndian.notDense(scaleFormat);
        };
    // All codes must decode to finite floats, whatever the zero point.
    if (Float.isInfinite(last * rounded)) {
      throw new IllegalArgumentException("must fit " + scaleFormat + ": scale=" + exact);
    }
    return rounded;
  }

  private static float halfUp(float exact) {
    short bits = Float.floatToFloat16(exact);
    boolean isBelow = Float.float16ToFloat(bits) < exact || bits == 0;
    return Float.float16ToFloat((short) (isBelow ? bits + 1 : bits));
  }

  private static float bf16Up(float exact) {
    short bits = Bf16.encode(exact);
    boolean isBelow = Bf16.decode(bits) < exact || bits == 0;
    return Bf16.decode((short) (isBelow ? bits + 1 : bits));
  }
}
