package dev.fathom.program;

/** The checks of {@link ProgramBuilder}: each failure reads "op: expected ..., got ...". */
final class Expect {

  private Expect() {}

  static void that(String op, boolean holds, String expected, Object got) {
    if (!holds) {
      throw new IllegalArgumentException(op + ": expected " + expected + ", got " + got);
    }
  }

  static void f32(String op, Value input) {
    that(op, input.type() == ElementType.F32, "input of type F32", input.type());
  }

  static void axis(String op, Value input, String width) {
    that(op, !input.shape().dims().isEmpty(), "input [.., " + width + "]", input.shape());
  }

  static void last(String op, Value input, int width) {
    that(op, input.shape().last() == width, "input [.., " + width + "]", input.shape());
  }

  static void same(String op, Value a, Value b) {
    that(op, b.type() == a.type(), "two operands of type " + a.type(), b.type());
    that(op, a.shape().equals(b.shape()), "two operands of shape " + a.shape(), b.shape());
  }

  static void matrix(String op, WeightRef weight) {
    that(op, !weight.isVector(), "a weight matrix", weight);
  }

  static void matrix(String op, WeightRef weight, int rows, int cols) {
    boolean fits = !weight.isVector() && weight.rows() == rows && weight.cols() == cols;
    if (!fits) { // No text for the tens of thousands of experts that fit.
      that(op, false, "a weight [" + rows + ", " + cols + "]", weight);
    }
  }

  static void vector(String op, WeightRef weight, int len) {
    boolean fits = weight.isVector() && weight.cols() == len;
    that(op, fits, "a vector [" + len + "]", weight);
  }
}
