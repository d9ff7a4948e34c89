package dev.fathom.text;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.error.TextException;
import java.io.IOException;
import java.nio.CharBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Map;
import java.util.TreeMap;

/**
 * Byte-level byte-pair encoding as DeepSeek's {@code tokenizer.json} files describe it: text to
 * token ids and back.
 *
 * <p>There are two ways in. {@link #encodeText} takes text that somebody else wrote: whatever it
 * says, no added token (control tokens such as {@code <｜User｜>}) comes out. {@link
 * #encodeWithSpecials} takes text that the program wrote and recognises added tokens, as
 * HuggingFace does for all text. Neither adds a beginning-of-sentence token. Where the file asks
 * for normal form C, text is brought into it first.
 *
 * <p>Equal to HuggingFace {@code tokenizers} with {@code add_special_tokens=False}; an unpaired
 * surrogate, which that library cannot receive, counts as U+FFFD. Normal form C is that of this
 * JDK's Unicode version, the library's that of an older one: rare marks of recent versions may be
 * ordered otherwise. Only pattern sets that the library knows are accepted, each with a
 * hand-written scanner: regular expressions of a model file are never run. Immutable and safe for
 * several threads.
 */
public final class Tokenizer {
  /** What {@link #tokenId} returns for a text that is no token. */
  public static final int NO_TOKEN = Vocabulary.NONE;

  private static final int NUM_BYTES = 256;
  private static final int UNITS_PER_TOKEN_GUESS = 3;

  private final Vocabulary vocabulary;
  private final Map<String, Integer> literals;
  private final BitSet special;
  private final BitSet added;
  private final AddedTokens rawAdded;
  private final AddedTokens normalizedAdded;
  private final AddedTokens letters;
  private final boolean composes;
  private final MergeTable merges;
  private final PreTokenizer preTokenizer;
  private final int[] byteIds = new int[NUM_BYTES];
  private final PieceCache cache = new PieceCache();
  private final boolean ignoreMerges;

  Tokenizer(TokenizerReader reader, PreTokenizer preTokenizer) {
    this.vocabulary = reader.vocabulary;
    this.literals = Map.copyOf(reader.literals);
    this.special = reader.special;
    this.added = reader.added;
    this.rawAdded = reader.rawAdded;
    this.normalizedAdded = reader.normalizedAdded;
    this.letters = reader.letters;
    this.composes = reader.composes;
    this.merges = reader.merges;
    this.ignoreMerges = reader.ignoreMerges;
    this.preTokenizer = preTokenizer;
    byte[] one = new byte[1];
    for (int b = 0; b < NUM_BYTES; b++) {
      one[0] = (byte) b;
      byteIds[b] = vocabulary.find(one, 0, 1);
    }
  }

  /**
   * Reads a {@code tokenizer.json} file.
   *
   * @throws TextException if it cannot be read (3000, 3002) or describes a tokenizer of another
   *     kind (3001)
   */
  public static Tokenizer load(Path tokenizerJson) {
    String source = Text.quote(tokenizerJson.toString());
    try {
      return TokenizerReader.read(Files.readAllBytes(tokenizerJson), source);
    } catch (NoSuchFileException e) {
      throw new TextException(
          ErrorCode.TOKENIZER_NOT_FOUND,
          "Cannot read " + source,
          "there is no such file",
          "download tokenizer.json into the folder of the checkpoint",
          e);
    } catch (IOException e) {
      throw new TextException(
          ErrorCode.TOKENIZER_NOT_FOUND,
          "Cannot read " + source,
          e.getClass().getSimpleName() + " " + Text.quote(e.getMessage()),
          "check that it is a file and that this user may read it",
          e);
    }
  }

  /**
   * Reads the bytes of a {@code tokenizer.json} file.
   *
   * @throws TextException if they are damaged (3000) or describe a tokenizer of another kind (3001)
   */
  public static Tokenizer parse(byte[] tokenizerJson) {
    return TokenizerReader.read(tokenizerJson, "tokenizer.json");
  }

  /** Returns one more than the largest id that has a token; the model may have more ids. */
  public int size() {
    return vocabulary.size();
  }

  /**
   * Returns the id of a token as {@code tokenizer.json} writes it, {@code Ġthe} for " the", or
   * {@link #NO_TOKEN}.
   */
  public int tokenId(String token) {
    int id = rawAdded.id(token);
    if (id == NO_TOKEN) {
      id = normalizedAdded.id(token);
    }
    if (id != NO_TOKEN) {
      return id;
    }
    if (!ByteAlphabet.covers(token)) {
      return literals.getOrDefault(token, NO_TOKEN);
    }
    byte[] bytes = ByteAlphabet.bytesOf(token);
    return vocabulary.find(bytes, 0, bytes.length);
  }

  /** Returns a copy of the bytes that an id stands for, empty if it has no token. */
  public byte[] tokenBytes(int tokenId) {
    return vocabulary.bytes(tokenId);
  }

  /** Returns whether the file marks the token as special (BOS, EOS, placeholders). */
  public boolean isSpecial(int tokenId) {
    return tokenId >= 0 && special.get(tokenId);
  }

  /**
   * Returns whether the token is an added one, special or not; these never come from user text. The
   * single letters that some vocabularies add (ø, ü) are text and do not count.
   */
  public boolean isAdded(int tokenId) {
    return tokenId >= 0 && added.get(tokenId);
  }

  /** Returns the added tokens and their ids in the order of their text. */
  public Map<String, Integer> addedTokens() {
    Map<String, Integer> all = new TreeMap<>(rawAdded.all());
    all.putAll(normalizedAdded.all());
    return all;
  }

  /**
   * Encodes text from outside: every character is text, no added token ever comes out.
   *
   * @return token ids, without a beginning-of-sentence token
   */
  public int[] encodeText(CharSequence text) {
    char[] units = composed(units(text));
    TokenIds out = new TokenIds(units.length / UNITS_PER_TOKEN_GUESS);
    if (letters.isEmpty()) {
      newEncoder().encode(units, 0, units.length, out);
    } else {
      encodeAround(letters, units, 0, units.length, newEncoder(), out);
    }
    return out.toArray(0);
  }

  /**
   * Encodes text that the program wrote: added tokens in it become their ids. Must not be given
   * text of a user, a tool or a document.
   *
   * @return token ids, without a beginning-of-sentence token unless the text has it
   */
  public int[] encodeWithSpecials(CharSequence text) {
    char[] units = units(text);
    TokenIds out = new TokenIds(units.length / UNITS_PER_TOKEN_GUESS);
    encodeAround(rawAdded, units, 0, units.length, newEncoder(), out);
    return out.toArray(0);
  }

  /**
   * Decodes a whole sequence; added tokens give their text.
   *
   * @param tokenIds ids of the model; those without a token string give nothing
   * @return the text, U+FFFD in place of ill-formed UTF-8
   * @throws IllegalArgumentException if an id is negative
   */
  public String decode(int... tokenIds) {
    StringBuilder out = new StringBuilder(tokenIds.length * 4);
    Utf8Decoder utf8 = new Utf8Decoder();
    for (int id : tokenIds) {
      decode(id, utf8, out);
    }
    utf8.flush(out);
    return out.toString();
  }

  void decode(int tokenId, Utf8Decoder utf8, StringBuilder out) {
    if (tokenId < 0) {
      throw new IllegalArgumentException("must be >= 0: tokenId=" + tokenId);
    }
    if (vocabulary.has(tokenId)) {
      int start = vocabulary.start(tokenId);
      utf8.decode(vocabulary.arena(), start, start + vocabulary.len(tokenId), out);
    }
  }

  private void encodeAround(
      AddedTokens tokens, char[] text, int start, int end, PieceEncoder encoder, TokenIds out) {
    int done = start;
    int i = tokens.nextCandidate(text, start, end);
    while (i < end) {
      long match = tokens.longestAt(text, i, end);
      if (match < 0) {
        i = tokens.nextCandidate(text, i + 1, end);
        continue;
      }
      encodeGap(tokens, text, done, i, encoder, out);
      out.add((int) match);
      done = i + (int) (match >>> 32);
      i = tokens.nextCandidate(text, done, end);
    }
    encodeGap(tokens, text, done, end, encoder, out);
  }

  /** What the first set of added tokens leaves is searched for the second, the rest is text. */
  private void encodeGap(
      AddedTokens tokens, char[] text, int start, int end, PieceEncoder encoder, TokenIds out) {
    if (tokens == rawAdded && composes) {
      char[] gap = composed(Arrays.copyOfRange(text, start, end));
      encodeAround(normalizedAdded, gap, 0, gap.length, encoder, out);
    } else if (tokens == rawAdded) {
      encodeAround(normalizedAdded, text, start, end, encoder, out);
    } else {
      encoder.encode(text, start, end, out);
    }
  }

  private PieceEncoder newEncoder() {
    BytePairEncoder merger = new BytePairEncoder(byteIds, merges, ignoreMerges ? vocabulary : null);
    return new PieceEncoder(preTokenizer, cache, merger, byteIds);
  }

  /** Brings text into normal form C where the file asks for it. */
  private char[] composed(char[] text) {
    return composes
        ? Normalizer.normalize(CharBuffer.wrap(text), Normalizer.Form.NFC).toCharArray()
        : text;
  }

  private static char[] units(CharSequence text) {
    if (text instanceof String s) {
      return s.toCharArray();
    }
    char[] units = new char[text.length()];
    for (int i = 0; i < units.length; i++) {
      units[i] = text.charAt(i);
    }
    return units;
  }

  @Override
  public String toString() {
    return "Tokenizer[size=" + size() + ", added=" + added.cardinality() + "]";
  }
}
