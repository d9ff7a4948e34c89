package dev.fathom.text;

/**
 * Cuts text into the pieces that byte-pair encoding treats one by one.
 *
 * <p>One hand-written scanner for each family of patterns; a model file's regular expressions are
 * recognised, never run. Implementations are stateless and safe for several threads.
 */
interface PreTokenizer {

  /**
   * Returns the end of the piece that starts at {@code start}.
   *
   * @param text UTF-16 units; an unpaired surrogate counts as U+FFFD
   * @param start index of the first unit of a piece, less than {@code end}
   * @param end end of the text: the scanner neither reads nor looks behind it
   * @return an index in {@code (start, end]}
   */
  int pieceEnd(char[] text, int start, int end);
}
