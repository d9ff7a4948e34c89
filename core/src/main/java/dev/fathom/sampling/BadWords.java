package dev.fathom.sampling;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Keeps words out of the output's text, however they would be cut into tokens: a token is forbidden
 * where its bytes, behind those put out before, complete a word. Upper and lower case differ; a
 * word inside a longer one counts.
 *
 * <p>For each word the tokens that contain it and, for each of its beginnings, those that start
 * with the rest are listed once: a row then compares a few bytes.
 */
public final class BadWords implements LogitsProcessor {

  private final byte[][] vocabulary;
  private final List<Word> words = new ArrayList<>();
  private final int tailLen;

  /**
   * Lists the tokens.
   *
   * @param words texts in UTF-8, each of at least a byte
   * @param vocabulary bytes of each token by id, empty where it puts out no text
   */
  public BadWords(List<byte[]> words, byte[][] vocabulary) {
    this.vocabulary = vocabulary;
    int longest = 0;
    for (byte[] word : words) {
      if (word.length == 0) {
        throw new IllegalArgumentException("must be >= 1: bytes of a word=0");
      }
      this.words.add(new Word(word, vocabulary));
      longest = Math.max(longest, word.length);
    }
    this.tailLen = Math.max(0, longest - 1);
  }

  @Override
  public void process(TokenHistory history, LogitsRow logits) {
    byte[] tail = tail(history);
    for (Word word : words) {
      forbid(word.inside, logits);
      for (int begun = 1; begun < word.bytes.length; begun++) {
        if (endsWith(tail, word.bytes, begun)) {
          forbid(word.completing[begun], logits);
        }
      }
    }
  }

  private static void forbid(int[] ids, LogitsRow logits) {
    for (int id : ids) {
      logits.forbid(id);
    }
  }

  /** Returns the last bytes of the output, as many as matter and there are. */
  private byte[] tail(TokenHistory history) {
    byte[] tail = new byte[tailLen];
    int free = tailLen;
    for (int at = history.length() - 1; free > 0 && at >= history.promptLength(); at--) {
      int id = history.token(at);
      byte[] bytes = id < vocabulary.length ? vocabulary[id] : new byte[0];
      int n = Math.min(free, bytes.length);
      System.arraycopy(bytes, bytes.length - n, tail, free - n, n);
      free -= n;
    }
    return Arrays.copyOfRange(tail, free, tailLen);
  }

  private static boolean endsWith(byte[] tail, byte[] word, int len) {
    int from = tail.length - len;
    return from >= 0 && Arrays.equals(tail, from, tail.length, word, 0, len);
  }

  /** A word with the tokens that contain it, and those that complete each of its beginnings. */
  private static final class Word {

    final byte[] bytes;
    final int[] inside;
    final int[][] completing;

    Word(byte[] bytes, byte[][] vocabulary) {
      this.bytes = bytes;
      List<List<Integer>> lists = new ArrayList<>();
      for (int i = 0; i < bytes.length; i++) {
        lists.add(new ArrayList<>());
      }
      for (int id = 0; id < vocabulary.length; id++) {
        if (contains(vocabulary[id])) {
          lists.getFirst().add(id);
        }
        for (int begun = 1; begun < bytes.length; begun++) {
          if (startsWithRest(vocabulary[id], begun)) {
            lists.get(begun).add(id);
          }
        }
      }
      this.inside = toArray(lists.getFirst());
      this.completing = lists.stream().map(Word::toArray).toArray(int[][]::new);
    }

    private static int[] toArray(List<Integer> ids) {
      return ids.stream().mapToInt(i -> i).toArray();
    }

    private boolean startsWithRest(byte[] token, int begun) {
      int rest = bytes.length - begun;
      return token.length >= rest && Arrays.equals(token, 0, rest, bytes, begun, bytes.length);
    }

    private boolean contains(byte[] token) {
      for (int at = 0; at + bytes.length <= token.length; at++) {
        if (Arrays.equals(token, at, at + bytes.length, bytes, 0, bytes.length)) {
          return true;
        }
      }
      return false;
    }
  }
}
