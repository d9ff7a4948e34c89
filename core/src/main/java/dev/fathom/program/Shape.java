package dev.fathom.program;

import java.util.Arrays;
import java.util.List;

/**
 * The shape of a value: a leading axis known at run time and fixed trailing dimensions.
 *
 * @param lead what the leading axis counts
 * @param dims trailing dimensions, outermost first, each at least 1; empty for one scalar a token
 */
public record Shape(Lead lead, List<Integer> dims) {

  /** Copies the dimensions and checks that each is positive. */
  public Shape {
    dims = List.copyOf(dims);
    for (int dim : dims) {
      if (dim < 1) {
        throw new IllegalArgumentException("shape: dimensions must be >= 1: dims=" + dims);
      }
    }
  }

  /** Returns a shape with one vector of these dimensions for each token. */
  public static Shape tokens(int... dims) {
    return new Shape(Lead.TOKENS, Arrays.stream(dims).boxed().toList());
  }

  /** Returns a shape with one vector of these dimensions for each wanted row. */
  public static Shape rows(int... dims) {
    return new Shape(Lead.ROWS, Arrays.stream(dims).boxed().toList());
  }

  /** Returns the last dimension, or 1 where there is none. */
  public int last() {
    return dims.isEmpty() ? 1 : dims.getLast();
  }

  /** Returns the number of elements behind one index of the leading axis. */
  public int width() {
    int width = 1;
    // Asked in each step: an iterator would be allocated.
    for (int i = 0; i < dims.size(); i++) {
      width = Math.multiplyExact(width, dims.get(i));
    }
    return width;
  }

  /** Returns this shape with another last dimension. */
  public Shape withLast(int last) {
    Integer[] copy = dims.toArray(new Integer[0]);
    copy[copy.length - 1] = last;
    return new Shape(lead, List.of(copy));
  }

  /** Returns the shape as papers write it, such as {@code [T, 8, 48]}. */
  @Override
  public String toString() {
    StringBuilder out = new StringBuilder("[").append(lead.symbol());
    for (int dim : dims) {
      out.append(", ").append(dim);
    }
    return out.append(']').toString();
  }
}
