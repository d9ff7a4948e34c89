package dev.fathom.json;

import java.math.BigDecimal;
import org.jspecify.annotations.Nullable;

/**
 * A JSON number that keeps its source text, so that nothing is rounded before somebody asks for a
 * type. Equal if the texts are equal.
 */
public final class JsonNumber implements JsonValue {
  private final String text;

  /** The text must be a JSON number: checked by the reader, or made from a Java number. */
  JsonNumber(String text) {
    this.text = text;
  }

  /** The number written in decimal digits. */
  public static JsonNumber of(long value) {
    return new JsonNumber(Long.toString(value));
  }

  /** The shortest text that reads back as {@code value}, which must be finite. */
  public static JsonNumber of(double value) {
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException("must be finite: value=" + value);
    }
    return new JsonNumber(Double.toString(value));
  }

  /** The number as it is written in the document. */
  public String text() {
    return text;
  }

  /** Whether it is written without fraction and exponent: {@code 16}, but not {@code 16.0}. */
  public boolean isIntegral() {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '.' || c == 'e' || c == 'E') {
        return false;
      }
    }
    return true;
  }

  /** Whether it is integral and fits a long. */
  public boolean isLong() {
    if (!isIntegral() || text.length() > 20) {
      return false;
    }
    try {
      Long.parseLong(text);
      return true;
    } catch (NumberFormatException e) {
      return false;
    }
  }

  /**
   * The value of an integral number.
   *
   * @throws ArithmeticException if it is written with a fraction or an exponent, or exceeds a long
   */
  public long longValueExact() {
    if (!isLong()) {
      throw new ArithmeticException("must be an integer that fits 64 bits");
    }
    return Long.parseLong(text);
  }

  /** The nearest double; infinite where the number exceeds the range. */
  public double doubleValue() {
    return Double.parseDouble(text);
  }

  /** The exact value. Slow for large exponents: only for numbers of trusted size. */
  public BigDecimal decimalValue() {
    return new BigDecimal(text);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof JsonNumber n && text.equals(n.text);
  }

  @Override
  public int hashCode() {
    return text.hashCode();
  }

  @Override
  public String toString() {
    return text;
  }
}
