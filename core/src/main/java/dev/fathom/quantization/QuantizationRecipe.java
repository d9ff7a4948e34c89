package dev.fathom.quantization;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.quant.ZeroPoints;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * What a quantized checkpoint is made of.
 *
 * <p>Every matrix of a linear layer is quantized; norms, embeddings, routers and the head stay as
 * they are, and so does what {@link #keeping} names. A matrix whose columns the group size does not
 * divide takes the largest size that divides both; the report names such matrices.
 *
 * <p>Immutable; the {@code with}-like methods return changed copies.
 *
 * @param method how weights become small
 * @param groupSize columns that share a scale: 32, 64 or 128 for four bits; {@link #PER_CHANNEL}
 *     for one scale a row (INT8); not used by FP8
 * @param zeroPoints whether the integers of a group have a zero point
 * @param layout how the tensors are named and packed
 * @param keep patterns of linears that stay unquantized: their names, where {@code *} stands for
 *     any characters
 * @param quantizesHead whether the output head is quantized too (never by AWQ's scaling)
 * @param calibration what AWQ runs the model on
 * @param refinement what AWQ does after scaling
 */
public record QuantizationRecipe(
    Method method,
    int groupSize,
    ZeroPoints zeroPoints,
    Layout layout,
    List<String> keep,
    boolean quantizesHead,
    CalibrationText calibration,
    Refinement refinement) {

  /** One scale for a whole row. */
  public static final int PER_CHANNEL = 0;

  private static final List<Integer> GROUPS = List.of(32, 64, 128);

  /** How weights become small. */
  public enum Method {
    /** E4M3 with a float32 scale for each block of 128 x 128, as DeepSeek publishes V3. */
    FP8,
    /** 8-bit integers, rounded to nearest. */
    INT8,
    /** 4-bit integers, rounded to nearest. */
    INT4,
    /** 4-bit integers after activation-aware scaling and clipping. */
    AWQ
  }

  /** What AWQ does after scaling. */
  public enum Refinement {
    /** Nothing: each group covers its whole range, codes are the nearest. */
    NONE,
    /** Searches the range of each group, as AWQ was published. */
    CLIPPING,
    /**
     * Searches the range, then codes whose errors cancel on the samples: beyond the published
     * method, and slower with the square of a linear's columns.
     */
    ROUNDING
  }

  /** How tensors are named and packed. */
  public enum Layout {
    /** AWQ's where the method is AWQ and all groups are equal, else compressed-tensors. */
    AUTO,
    /** AWQ's {@code gemm}: one group size; a matrix that it does not divide stays unquantized. */
    AWQ,
    /** compressed-tensors' {@code pack-quantized}. */
    COMPRESSED_TENSORS
  }

  /**
   * Checks and copies.
   *
   * @throws InvalidRequestException naming the rule and the value
   */
  public QuantizationRecipe {
    keep = List.copyOf(keep);
    boolean four = method == Method.INT4 || method == Method.AWQ;
    boolean known = GROUPS.contains(groupSize) || (groupSize == PER_CHANNEL && !four);
    if (!known) {
      throw invalid(
          "must be one of " + (four ? "" : "0 (per channel), ") + "32, 64, 128",
          "groupSize",
          groupSize);
    }
    if (method == Method.AWQ && zeroPoints == ZeroPoints.SYMMETRIC && layout == Layout.AWQ) {
      throw invalid("must be ASYMMETRIC in the layout AWQ", "zeroPoints", zeroPoints);
    }
    if (method == Method.INT8 && zeroPoints == ZeroPoints.ASYMMETRIC) {
      throw invalid("must be SYMMETRIC for INT8", "zeroPoints", zeroPoints);
    }
    if (layout == Layout.AWQ && !(four && zeroPoints == ZeroPoints.ASYMMETRIC)) {
      throw invalid("must be AUTO or COMPRESSED_TENSORS for " + method, "layout", layout);
    }
    if (layout == Layout.COMPRESSED_TENSORS && method == Method.FP8) {
      throw invalid("must be AUTO for FP8", "layout", layout);
    }
    if (refinement != Refinement.NONE && method != Method.AWQ) {
      throw invalid("must be NONE for " + method, "refinement", refinement);
    }
  }

  static InvalidRequestException invalid(String rule, String name, Object value) {
    return new InvalidRequestException(
        ErrorCode.REQUEST_INVALID,
        "The recipe cannot be followed",
        rule + ": " + name + "=" + value,
        "change " + name + " of the recipe");
  }

  private static QuantizationRecipe of(Method method, int groupSize, ZeroPoints zeros) {
    return new QuantizationRecipe(
        method,
        groupSize,
        zeros,
        Layout.AUTO,
        List.of(),
        false,
        CalibrationText.OWN,
        method == Method.AWQ ? Refinement.CLIPPING : Refinement.NONE);
  }

  /** FP8 in blocks of 128 x 128. */
  public static QuantizationRecipe fp8() {
    return of(Method.FP8, PER_CHANNEL, ZeroPoints.SYMMETRIC);
  }

  /** INT8 with one scale a row. */
  public static QuantizationRecipe int8() {
    return of(Method.INT8, PER_CHANNEL, ZeroPoints.SYMMETRIC);
  }

  /** INT8 in groups of 32, 64 or 128 columns. */
  public static QuantizationRecipe int8(int groupSize) {
    return of(Method.INT8, groupSize, ZeroPoints.SYMMETRIC);
  }

  /** INT4 in groups of 32, 64 or 128 columns with zero points, rounded to nearest. */
  public static QuantizationRecipe int4(int groupSize) {
    return of(Method.INT4, groupSize, ZeroPoints.ASYMMETRIC);
  }

  /** INT4 by AWQ in groups of 32, 64 or 128 columns with zero points. */
  public static QuantizationRecipe awq(int groupSize) {
    return of(Method.AWQ, groupSize, ZeroPoints.ASYMMETRIC);
  }

  /** Returns a copy whose groups are centred: no zero points. */
  public QuantizationRecipe symmetric() {
    return new QuantizationRecipe(
        method,
        groupSize,
        ZeroPoints.SYMMETRIC,
        layout,
        keep,
        quantizesHead,
        calibration,
        refinement);
  }

  /** Returns a copy that writes this layout. */
  public QuantizationRecipe layout(Layout wanted) {
    return new QuantizationRecipe(
        method, groupSize, zeroPoints, wanted, keep, quantizesHead, calibration, refinement);
  }

  /**
   * Returns a copy that also keeps the linears of these patterns, such as {@code *.kv_b_proj} or
   * {@code model.layers.0.*}.
   */
  public QuantizationRecipe keeping(String... patterns) {
    return new QuantizationRecipe(
        method,
        groupSize,
        zeroPoints,
        layout,
        Stream.concat(keep.stream(), Stream.of(patterns)).toList(),
        quantizesHead,
        calibration,
        refinement);
  }

  /** Returns a copy that quantizes the output head too, unless it is the embedding. */
  public QuantizationRecipe withHead() {
    return new QuantizationRecipe(
        method, groupSize, zeroPoints, layout, keep, true, calibration, refinement);
  }

  /** Returns a copy that calibrates on this. */
  public QuantizationRecipe calibratedOn(CalibrationText text) {
    return new QuantizationRecipe(
        method, groupSize, zeroPoints, layout, keep, quantizesHead, text, refinement);
  }

  /** Returns a copy that does this after scaling; for AWQ only. */
  public QuantizationRecipe refinement(Refinement wanted) {
    return new QuantizationRecipe(
        method, groupSize, zeroPoints, layout, keep, quantizesHead, calibration, wanted);
  }

  /** Whether the range of each group is searched. */
  boolean searchesClipping() {
    return refinement != Refinement.NONE;
  }

  /** Whether codes other than the nearest are searched. */
  boolean searchesRounding() {
    return refinement == Refinement.ROUNDING;
  }

  /** Whether weights are scaled by what a calibration saw. */
  boolean isCalibrated() {
    return method == Method.AWQ;
  }

  /** Bits of the integers. */
  int bits() {
    return method == Method.INT4 || method == Method.AWQ ? 4 : 8;
  }

  /** The recipe in a few words, such as {@code awq group=128 zero-points keep=[*.kv_b_proj]}. */
  @Override
  public String toString() {
    StringBuilder out = new StringBuilder(method.name().toLowerCase(Locale.ROOT));
    if (method != Method.FP8) {
      out.append(groupSize == PER_CHANNEL ? " per-channel" : " group=" + groupSize);
      out.append(zeroPoints == ZeroPoints.ASYMMETRIC ? " zero-points" : " symmetric");
    }
    if (layout != Layout.AUTO) {
      out.append(" layout=").append(layout.name().toLowerCase(Locale.ROOT));
    }
    if (!keep.isEmpty()) {
      out.append(" keep=").append(keep);
    }
    if (quantizesHead) {
      out.append(" head");
    }
    if (isCalibrated()) {
      out.append(" refinement=")
          .append(refinement.name().toLowerCase(Locale.ROOT))
          .append(" samples=");
      out.append(calibration.samples()).append(" texts=").append(calibration);
    }
    return out.toString();
  }
}
