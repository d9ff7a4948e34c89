package dev.fathom.program;

/**
 * The result of one operation, or an input of the program.
 *
 * @param id position among the program's values, from 0
 * @param type what its elements are
 * @param shape its shape
 */
public record Value(int id, ElementType type, Shape shape) {

  /** Returns the value as the printer names it, such as {@code %12}. */
  @Override
  public String toString() {
    return "%" + id;
  }
}
