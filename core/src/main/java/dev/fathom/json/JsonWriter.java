package dev.fathom.json;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Map;

/**
 * Writes JSON text. Field order is kept, characters outside ASCII are written as they are, control
 * characters, quotes and backslashes are escaped; a lone surrogate, which UTF-8 cannot hold, is
 * written as U+FFFD.
 *
 * <p>Three styles: {@link #compact}; {@link #python}, equal to Python's {@code json.dumps(value,
 * ensure_ascii=False)}, which chat templates use; {@link #pretty}, equal to {@code indent=2}.
 */
public final class JsonWriter {
  private static final String HEX = "0123456789abcdef";
  private static final MathContext ONE_DIGIT = new MathContext(1, RoundingMode.HALF_EVEN);

  private final StringBuilder out = new StringBuilder();
  private final String comma;
  private final String colon;
  private final boolean indent;
  private final boolean pythonNumbers;

  private JsonWriter(String comma, String colon, boolean indent, boolean pythonNumbers) {
    this.comma = comma;
    this.colon = colon;
    this.indent = indent;
    this.pythonNumbers = pythonNumbers;
  }

  /** Without any white space; numbers as they are written in the source. */
  public static String compact(JsonValue value) {
    return new JsonWriter(",", ":", false, false).write(value);
  }

  /**
   * As Python's {@code json.dumps(json.loads(text), ensure_ascii=False)} writes it: {@code ", "}
   * and {@code ": "}, and floating-point numbers in Python's shortest form ({@code 1e5} as {@code
   * 100000.0}).
   */
  public static String python(JsonValue value) {
    return new JsonWriter(", ", ": ", false, true).write(value);
  }

  /** Two spaces of indentation a level; numbers as they are written in the source. */
  public static String pretty(JsonValue value) {
    return new JsonWriter(",", ": ", true, false).write(value);
  }

  /** Appends {@code text} as a JSON string with its quotes. */
  public static void quote(StringBuilder out, String text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < ' ') {
        control(out, c);
      } else if (!Character.isSurrogate(c)) {
        out.append(c);
      } else if (i + 1 < text.length() && Character.isSurrogatePair(c, text.charAt(i + 1))) {
        out.append(c).append(text.charAt(++i));
      } else {
        out.append('\uFFFD');
      }
    }
    out.append('"');
  }

  private static void control(StringBuilder out, char c) {
    switch (c) {
      case '\b' -> out.append("\\b");
      case '\f' -> out.append("\\f");
      case '\n' -> out.append("\\n");
      case '\r' -> out.append("\\r");
      case '\t' -> out.append("\\t");
      default -> out.append("\\u00").append(HEX.charAt(c >> 4)).append(HEX.charAt(c & 15));
    }
  }

  private String write(JsonValue value) {
    value(value, 0);
    return out.toString();
  }

  private void value(JsonValue value, int level) {
    switch (value) {
      case JsonObject object -> object(object, level);
      case JsonArray array -> array(array, level);
      case JsonString string -> quote(out, string.value());
      case JsonNumber number -> out.append(pythonNumbers ? pythonText(number) : number.text());
      case JsonBoolean bool -> out.append(bool.value());
      case JsonNull ignored -> out.append("null");
    }
  }

  private void object(JsonObject object, int level) {
    out.append('{');
    boolean first = true;
    for (Map.Entry<String, JsonValue> field : object.fields().entrySet()) {
      separate(first, level + 1);
      first = false;
      quote(out, field.getKey());
      out.append(colon);
      value(field.getValue(), level + 1);
    }
    end(first, level);
    out.append('}');
  }

  private void array(JsonArray array, int level) {
    out.append('[');
    boolean first = true;
    for (JsonValue element : array) {
      separate(first, level + 1);
      first = false;
      value(element, level + 1);
    }
    end(first, level);
    out.append(']');
  }

  private void separate(boolean first, int level) {
    if (!first) {
      out.append(comma);
    }
    newLine(level);
  }

  private void end(boolean empty, int level) {
    if (!empty) {
      newLine(level);
    }
  }

  private void newLine(int level) {
    if (indent) {
      out.append('\n').repeat("  ", level);
    }
  }

  /** What Python prints after it read the number: an int keeps its digits, a float has a repr. */
  static String pythonText(JsonNumber number) {
    if (number.isIntegral()) {
      return number.text().equals("-0") ? "0" : number.text();
    }
    double value = number.doubleValue();
    if (Double.isInfinite(value)) {
      return value > 0 ? "Infinity" : "-Infinity";
    }
    if (value == 0) {
      return Double.toString(value);
    }
    return pythonRepr(value);
  }

  /**
   * The shortest decimal that reads back as {@code value}; Java never tries fewer than 2 digits.
   */
  private static BigDecimal shortest(double value) {
    BigDecimal decimal = new BigDecimal(Double.toString(value)).stripTrailingZeros();
    if (decimal.precision() == 2) {
      BigDecimal oneDigit = decimal.round(ONE_DIGIT);
      return oneDigit.doubleValue() == value ? oneDigit.stripTrailingZeros() : decimal;
    }
    return decimal;
  }

  /** Java's shortest digits in Python's layout: an exponent below -4 or from 16 on. */
  private static String pythonRepr(double value) {
    BigDecimal shortest = shortest(value);
    String digits = shortest.unscaledValue().abs().toString();
    int exponent = digits.length() - 1 - shortest.scale();
    String sign = value < 0 ? "-" : "";
    if (exponent < -4 || exponent >= 16) {
      String mantissa =
          digits.length() == 1 ? digits : digits.charAt(0) + "." + digits.substring(1);
      String width = Math.abs(exponent) < 10 ? "0" : "";
      return sign + mantissa + (exponent < 0 ? "e-" : "e+") + width + Math.abs(exponent);
    }
    String plain = shortest.abs().toPlainString();
    return sign + (shortest.scale() > 0 ? plain : plain + ".0");
  }
}
