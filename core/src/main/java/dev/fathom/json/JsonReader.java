package dev.fathom.json;

import java.nio.charset.StandardCharsets;

/**
 * A strict pull parser over UTF-8 bytes: no tree, no copies but the strings asked for.
 *
 * <p>{@link #next} checks the grammar completely (RFC 8259); a document whose {@link JsonToken#END}
 * was seen is well formed. Duplicate names are the caller's affair, since only the caller keeps
 * names. Not safe for several threads.
 */
public final class JsonReader {
  private static final int BYTE_MASK = 0xFF;

  private final byte[] in;
  private final int start;
  private final int end;
  private final JsonLimits limits;

  /** For each open container whether it is an object. */
  private final boolean[] inObject;

  private int depth;
  private int pos;
  private JsonToken token = JsonToken.END;
  private boolean started;
  private int tokenStart;
  private int textStart;
  private int textEnd;
  private boolean escaped;
  private boolean ascii;

  /**
   * Reads {@code utf8[from, to)}; the bytes must not change while it does.
   *
   * @param utf8 holds the document
   * @param from first byte
   * @param to end, exclusive
   * @param limits of depth and number length
   */
  public JsonReader(byte[] utf8, int from, int to, JsonLimits limits) {
    if (from < 0 || to < from || to > utf8.length) {
      throw new IllegalArgumentException(
          "must be a range of the array: from=" + from + " to=" + to + " length=" + utf8.length);
    }
    this.in = utf8;
    this.start = from;
    this.pos = from;
    this.end = to;
    this.limits = limits;
    this.inObject = new boolean[limits.maxDepth()];
  }

  /**
   * Advances to the next token.
   *
   * @throws JsonException if the document breaks a rule here
   */
  public JsonToken next() {
    skipWhitespace();
    tokenStart = pos;
    if (depth == 0) {
      token = started ? documentEnd() : value();
      started = true;
    } else if (inObject[depth - 1]) {
      token = inObjectNext();
    } else {
      token = inArrayNext();
    }
    return token;
  }

  /** Byte offset at which the current token starts, from the start of the document. */
  public int offset() {
    return tokenStart - start;
  }

  /** Bytes of the current name, string or number as they are written, without quotes. */
  public int rawLength() {
    return textEnd - textStart;
  }

  /** The current name or string after unescaping, or the number as it is written. */
  public String text() {
    if (token != JsonToken.NAME && token != JsonToken.STRING && token != JsonToken.NUMBER) {
      throw new IllegalStateException("must be at a name, string or number: token=" + token);
    }
    if (escaped) {
      return unescape();
    }
    return new String(
        in,
        textStart,
        textEnd - textStart,
        ascii ? StandardCharsets.ISO_8859_1 : StandardCharsets.UTF_8);
  }

  /** Whether the current name, string or number is {@code expected}; makes no string. */
  public boolean textEquals(String expected) {
    if (escaped || !ascii) {
      return text().equals(expected);
    }
    int length = textEnd - textStart;
    if (length != expected.length()) {
      return false;
    }
    for (int i = 0; i < length; i++) {
      if (in[textStart + i] != expected.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  /** Whether the current name or string is written in ASCII without escapes. */
  public boolean isPlain() {
    return !escaped && ascii;
  }

  /**
   * The current number as a non-negative integer.
   *
   * @return the value, or -1 if it has a sign, fraction or exponent, or exceeds 2^63 - 1
   */
  public long unsignedValue() {
    if (token != JsonToken.NUMBER || textEnd - textStart > 19) {
      return -1;
    }
    long value = 0;
    for (int i = textStart; i < textEnd; i++) {
      int digit = in[i] - '0';
      if (digit < 0 || digit > 9) {
        return -1;
      }
      value = value * 10 + digit;
      if (value < 0) {
        return -1;
      }
    }
    return value;
  }

  /** Skips the value that starts at the current token. */
  public void skipValue() {
    int outer = depth - (token == JsonToken.BEGIN_OBJECT || token == JsonToken.BEGIN_ARRAY ? 1 : 0);
    while (depth > outer) {
      next();
    }
  }

  private JsonToken documentEnd() {
    if (pos < end) {
      throw fail(pos, "nothing but white space may follow the value");
    }
    return JsonToken.END;
  }

  private JsonToken inArrayNext() {
    if (peek() == ']') {
      return close(JsonToken.END_ARRAY);
    }
    if (token != JsonToken.BEGIN_ARRAY) {
      comma("an element must be followed by a comma or a closing bracket");
    }
    return value();
  }

  private JsonToken inObjectNext() {
    if (token == JsonToken.NAME) {
      if (peek() != ':') {
        throw fail(pos, "a name must be followed by a colon");
      }
      pos++;
      skipWhitespace();
      return value();
    }
    if (peek() == '}') {
      return close(JsonToken.END_OBJECT);
    }
    if (token != JsonToken.BEGIN_OBJECT) {
      comma("a field must be followed by a comma or a closing brace");
    }
    if (peek() != '"') {
      throw fail(pos, "a name must be a string in double quotes");
    }
    string();
    return JsonToken.NAME;
  }

  private void comma(String rule) {
    if (peek() != ',') {
      throw fail(pos, rule);
    }
    pos++;
    skipWhitespace();
  }

  private JsonToken value() {
    tokenStart = pos;
    switch (peek()) {
      case '{':
        return open(true, JsonToken.BEGIN_OBJECT);
      case '[':
        return open(false, JsonToken.BEGIN_ARRAY);
      case '"':
        string();
        return JsonToken.STRING;
      case 't':
        return literal("true", JsonToken.TRUE);
      case 'f':
        return literal("false", JsonToken.FALSE);
      case 'n':
        return literal("null", JsonToken.NULL);
      case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
        number();
        return JsonToken.NUMBER;
      case -1:
        throw fail(pos, "the document must not end before its value does");
      default:
        throw fail(pos, "a value must start here");
    }
  }

  private JsonToken open(boolean object, JsonToken opened) {
    if (depth == limits.maxDepth()) {
      throw fail(pos, "must not nest deeper than " + limits.maxDepth() + " levels");
    }
    inObject[depth++] = object;
    pos++;
    return opened;
  }

  private JsonToken close(JsonToken closed) {
    depth--;
    pos++;
    return closed;
  }

  private JsonToken literal(String word, JsonToken found) {
    for (int i = 0; i < word.length(); i++) {
      if (pos + i >= end || in[pos + i] != word.charAt(i)) {
        throw fail(pos, "a value must start here");
      }
    }
    pos += word.length();
    return found;
  }

  private void number() {
    int p = pos + (in[pos] == '-' ? 1 : 0);
    boolean zero = p < end && in[p] == '0';
    int afterInteger = digits(p);
    if (zero && afterInteger > p + 1) {
      throw fail(p, "a number must not start with a needless zero");
    }
    p = afterInteger;
    if (p < end && in[p] == '.') {
      p = digits(p + 1);
    }
    if (p < end && (in[p] == 'e' || in[p] == 'E')) {
      p++;
      p = digits(p < end && (in[p] == '+' || in[p] == '-') ? p + 1 : p);
    }
    if (p - pos > limits.maxNumberLength()) {
      throw fail(pos, "a number must have at most " + limits.maxNumberLength() + " characters");
    }
    text(pos, p, false, true);
    pos = p;
  }

  /** Skips at least one digit. */
  private int digits(int from) {
    int p = from;
    while (p < end && in[p] >= '0' && in[p] <= '9') {
      p++;
    }
    if (p == from) {
      throw fail(p, "a number must have a digit here");
    }
    return p;
  }

  private void text(int from, int to, boolean hasEscapes, boolean isAscii) {
    textStart = from;
    textEnd = to;
    escaped = hasEscapes;
    ascii = isAscii;
  }

  /** Checks the string at {@code pos} without decoding it. */
  private void string() {
    tokenStart = pos;
    final byte[] bytes = in;
    final int limit = end;
    boolean hasEscapes = false;
    int high = 0;
    int p = pos + 1;
    while (p < limit) {
      int b = bytes[p];
      if (b == '"') {
        text(pos + 1, p, hasEscapes, high >= 0);
        pos = p + 1;
        return;
      }
      if (b == '\\') {
        hasEscapes = true;
        p = escape(p);
      } else if (b >= ' ') {
        p++;
      } else if (b < 0) {
        high = b;
        p = multiByte(p);
      } else {
        throw fail(p, "a control character in a string must be escaped");
      }
    }
    throw fail(tokenStart, "a string must be closed");
  }

  /** Checks the escape at {@code p}; returns the index behind it. */
  private int escape(int p) {
    int c = p + 1 < end ? in[p + 1] : -1;
    switch (c) {
      case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
        return p + 2;
      case 'u':
        break;
      default:
        throw fail(p, "a backslash must be followed by one of \"\\/bfnrtu");
    }
    char unit = unit(p + 2);
    if (!Character.isSurrogate(unit)) {
      return p + 6;
    }
    boolean pair =
        Character.isHighSurrogate(unit)
            && p + 7 < end
            && in[p + 6] == '\\'
            && in[p + 7] == 'u'
            && Character.isLowSurrogate(unit(p + 8));
    if (!pair) {
      throw fail(p, "a surrogate must be part of a pair");
    }
    return p + 12;
  }

  /** The UTF-16 unit of four hexadecimal digits. */
  private char unit(int p) {
    int value = 0;
    for (int i = p; i < p + 4; i++) {
      int digit = i < end ? hex(in[i]) : -1;
      if (digit < 0) {
        throw fail(p - 2, "\\u must be followed by four hexadecimal digits");
      }
      value = value << 4 | digit;
    }
    return (char) value;
  }

  private static int hex(int c) {
    if (c >= '0' && c <= '9') {
      return c - '0';
    }
    int letter = c | 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
  }

  /** Checks the UTF-8 sequence of 2 to 4 bytes at {@code p} (Unicode 16, table 3-7). */
  private int multiByte(int p) {
    int lead = in[p] & BYTE_MASK;
    int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    int low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    int high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    boolean wellFormed = lead >= 0xC2 && lead <= 0xF4 && p + length <= end;
    for (int i = 1; wellFormed && i < length; i++) {
      int b = in[p + i] & BYTE_MASK;
      wellFormed = b >= low && b <= high;
      low = 0x80;
      high = 0xBF;
    }
    if (!wellFormed) {
      throw fail(p, "must be valid UTF-8");
    }
    return p + length;
  }

  private String unescape() {
    StringBuilder out = new StringBuilder(textEnd - textStart);
    int run = textStart;
    int p = textStart;
    while (p < textEnd) {
      if (in[p] != '\\') {
        p++;
        continue;
      }
      out.append(new String(in, run, p - run, StandardCharsets.UTF_8));
      char c = (char) in[p + 1];
      if (c == 'u') {
        out.append(unit(p + 2));
        p += 6;
      } else {
        out.append(unescaped(c));
        p += 2;
      }
      run = p;
    }
    return out.append(new String(in, run, textEnd - run, StandardCharsets.UTF_8)).toString();
  }

  private static char unescaped(char c) {
    return switch (c) {
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      default -> c;
    };
  }

  /** The byte at {@code pos}, or -1 at the end; a byte of 0x80 and more is never a syntax byte. */
  private int peek() {
    return pos < end ? in[pos] & BYTE_MASK : -1;
  }

  private void skipWhitespace() {
    int p = pos;
    while (p < end && (in[p] == ' ' || in[p] == '\n' || in[p] == '\r' || in[p] == '\t')) {
      p++;
    }
    pos = p;
  }

  private JsonException fail(int at, String rule) {
    return new JsonException(at - start, rule);
  }
}
