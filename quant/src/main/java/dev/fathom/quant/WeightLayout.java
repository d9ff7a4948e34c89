package dev.fathom.quant;

/**
 * Where the bytes of a matrix lie whose elements do not stand for themselves.
 *
 * <p>A layout is a description: it holds sizes, never bytes, and its index methods do not check
 * their arguments. Each has a drawing.
 */
public sealed interface WeightLayout permits BlockScaleLayout, Mxfp4Layout, IntegerLayout {
  /** Rows of the matrix: output features of a linear. */
  int rows();

  /** Columns of the matrix: input features of a linear. */
  int cols();

  /** Bytes of the elements, without scales and zero points. */
  long weightBytes();

  /** Bytes of the scales. */
  long scaleBytes();
}
