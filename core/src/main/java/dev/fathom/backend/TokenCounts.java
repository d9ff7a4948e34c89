package dev.fathom.backend;

import java.util.Arrays;

/**
 * How often a sequence has seen each token, in its prompt and in its output; what penalties need.
 *
 * <p>An open-addressing table from token to counts that grows by doubling. One thread at a time.
 */
public final class TokenCounts {

  private static final int EMPTY = -1;

  private int[] token = new int[64];
  private int[] output = new int[64];
  private boolean[] prompt = new boolean[64];
  private int size;

  /** Creates an empty table. */
  public TokenCounts() {
    Arrays.fill(token, EMPTY);
  }

  /** Notes a token of the prompt. */
  public void addPrompt(int id) {
    prompt[slot(id)] = true;
  }

  /** Notes a token of the output. */
  public void addOutput(int id) {
    output[slot(id)]++;
  }

  /** Takes the last {@link #addOutput} of a token back. */
  public void removeOutput(int id) {
    output[slot(id)]--;
  }

  /** Returns the number of different tokens seen. */
  public int size() {
    return size;
  }

  /** Returns the length of the table that {@link #tokenAt} walks. */
  public int capacity() {
    return token.length;
  }

  /** Returns the token of a table entry, or -1 where it is empty. */
  public int tokenAt(int entry) {
    return token[entry];
  }

  /** Returns how often the entry's token was put out. */
  public int outputCountAt(int entry) {
    return output[entry];
  }

  /** Returns whether the entry's token is in the prompt. */
  public boolean inPromptAt(int entry) {
    return prompt[entry];
  }

  private int slot(int id) {
    int entry = find(id);
    if (token[entry] != EMPTY) {
      return entry;
    }
    if (2 * (size + 1) > token.length) {
      grow();
      entry = find(id);
    }
    token[entry] = id;
    size++;
    return entry;
  }

  private int find(int id) {
    int mask = token.length - 1;
    int entry = ((id * 0x9E3779B9) >>> 7) & mask;
    while (token[entry] != EMPTY && token[entry] != id) {
      entry = (entry + 1) & mask;
    }
    return entry;
  }

  private void grow() {
    int[] oldToken = token;
    int[] oldOutput = output;
    boolean[] oldPrompt = prompt;
    token = new int[2 * oldToken.length];
    output = new int[token.length];
    prompt = new boolean[token.length];
    Arrays.fill(token, EMPTY);
    for (int i = 0; i < oldToken.length; i++) {
      if (oldToken[i] != EMPTY) {
        int entry = find(oldToken[i]);
        token[entry] = oldToken[i];
        output[entry] = oldOutput[i];
        prompt[entry] = oldPrompt[i];
      }
    }
  }
}
