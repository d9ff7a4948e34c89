package dev.fathom.program;

import dev.fathom.quant.WeightFormat;
import java.util.List;

/**
 * A weight that a program needs: its name in the checkpoint, its shape, and the format it is stored
 * in.
 *
 * @param name tensor name of the checkpoint
 * @param shape one dimension for a vector, two ([out, in]) for a matrix
 * @param format storage format in the checkpoint
 */
public record WeightRef(String name, List<Integer> shape, WeightFormat format) {

  /** Copies the shape and checks its rank. */
  public WeightRef {
    shape = List.copyOf(shape);
    if (shape.isEmpty() || shape.size() > 2) {
      throw new IllegalArgumentException(
          "weight: expected a vector or a matrix, got " + name + " " + shape);
    }
  }

  /** Returns the number of rows: 1 for a vector, the output width for a matrix. */
  public int rows() {
    return shape.size() == 1 ? 1 : shape.getFirst();
  }

  /** Returns the number of columns: the length of a vector, the input width of a matrix. */
  public int cols() {
    return shape.getLast();
  }

  /** Returns whether this is a vector. */
  public boolean isVector() {
    return shape.size() == 1;
  }

  /** Returns the name of the linear that this is the matrix of: without a trailing ".weight". */
  public String linearName() {
    String suffix = ".weight";
    return name.endsWith(suffix) ? name.substring(0, name.length() - suffix.length()) : name;
  }

  /** Returns name, shape and format as the printer shows them. */
  @Override
  public String toString() {
    return name + shape + " " + format;
  }
}
