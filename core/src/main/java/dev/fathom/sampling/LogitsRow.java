package dev.fathom.sampling;

import java.util.Arrays;

/** The logits of one row, by token id. Valid during the call that hands it out. */
public final class LogitsRow {

  private float[] logits = new float[0];
  private int offset;
  private int size;

  /** Creates a row of nothing; {@link #of} gives it logits. */
  LogitsRow() {}

  /** Wraps {@code logits[offset, offset + size)}, which later calls change. */
  public static LogitsRow of(float[] logits, int offset, int size) {
    LogitsRow row = new LogitsRow();
    row.set(logits, offset, size);
    return row;
  }

  void set(float[] values, int first, int numTokens) {
    logits = values;
    offset = first;
    size = numTokens;
  }

  /** Returns the number of tokens, V. */
  public int size() {
    return size;
  }

  /** Returns a logit; -infinity where the token is forbidden. */
  public float get(int token) {
    return logits[at(token)];
  }

  /** Sets a logit. NaN counts as -infinity. */
  public void set(int token, float value) {
    logits[at(token)] = value;
  }

  /** Adds to a logit. */
  public void add(int token, float value) {
    logits[at(token)] += value;
  }

  /** Forbids a token. */
  public void forbid(int token) {
    logits[at(token)] = Float.NEGATIVE_INFINITY;
  }

  /** Forbids all tokens but one, which is as likely as before. */
  public void force(int token) {
    float kept = get(token);
    Arrays.fill(logits, offset, offset + size, Float.NEGATIVE_INFINITY);
    logits[at(token)] = kept == Float.NEGATIVE_INFINITY ? 0 : kept;
  }

  /** Forbids all tokens. */
  void forbidAll() {
    Arrays.fill(logits, offset, offset + size, Float.NEGATIVE_INFINITY);
  }

  private int at(int token) {
    if (token < 0 || token >= size) {
      throw new IndexOutOfBoundsException("must be in [0, " + (size - 1) + "]: token=" + token);
    }
    return offset + token;
  }
}
