package dev.fathom.text;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.error.TextException;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNull;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonReader;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonToken;
import dev.fathom.json.JsonValue;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads a {@code tokenizer.json} and refuses what the library does not implement exactly.
 *
 * <p>Vocabulary and merges, which make up nearly all of the file, go from the pull parser straight
 * into their tables; the small rest is read as trees.
 */
final class TokenizerReader {
  private static final int MAX_ID = 1 << MergeTable.ID_BITS;

  /** A line of the vocabulary and one of the merges; both files seen so far have 60 to 65. */
  private static final int BYTES_PER_TOKEN_GUESS = 60;

  private static final String SUPPORTED =
      "byte-level BPE without normalizer or with NFC, split by the patterns of the DeepSeek V3 family"
          + " (V3, R1, V3.1, V3.2, V4), DeepSeek LLM (MoE, V2, V2.5, Coder-V2), DeepSeek Coder, Qwen2"
          + " or Llama 3";

  private final byte[] json;
  private final String source;
  private final Map<String, JsonValue> parts = new HashMap<>();
  private byte[] scratch = new byte[256];
  private boolean vocabularySeen;
  private int mergesFrom;
  private int mergesTo;

  final Vocabulary vocabulary;

  /** Base tokens that are not written in the byte alphabet. */
  final Map<String, Integer> literals = new HashMap<>();

  final BitSet special = new BitSet();
  final BitSet added = new BitSet();

  /** Added tokens searched in the raw text first, and those searched in what they leave. */
  final AddedTokens rawAdded = new AddedTokens();

  final AddedTokens normalizedAdded = new AddedTokens();

  /** Those of them that are letters, which text from outside may hold. */
  final AddedTokens letters = new AddedTokens();

  /** Whether text is brought into normal form C first. */
  boolean composes;

  MergeTable merges = new MergeTable(0);
  boolean ignoreMerges;

  private TokenizerReader(byte[] json, String source) {
    this.json = json;
    this.source = source;
    this.vocabulary = new Vocabulary(json.length / BYTES_PER_TOKEN_GUESS);
  }

  /**
   * Reads a file's bytes.
   *
   * @param source where they come from, for messages
   */
  static Tokenizer read(byte[] json, String source) {
    TokenizerReader reader = new TokenizerReader(json, source);
    try {
      reader.document();
    } catch (JsonException e) {
      throw new TextException(
          ErrorCode.TOKENIZER_INVALID,
          "Cannot read " + source,
          "not valid JSON at byte " + e.offset() + ": " + e.rule(),
          "download the file again, or check that it is not a Git LFS pointer",
          e);
    }
    return new Tokenizer(reader, reader.preTokenizer());
  }

  private void document() {
    JsonReader r = new JsonReader(json, 0, json.length, JsonLimits.DEFAULT);
    expect(r.next() == JsonToken.BEGIN_OBJECT, "the document must be an object");
    Set<String> seen = new HashSet<>();
    while (r.next() == JsonToken.NAME) {
      String name = r.text();
      expect(seen.add(name), "a field must not occur twice: name=" + Text.quote(name));
      JsonToken value = r.next();
      switch (name) {
        case "model" -> model(r, value);
        case "added_tokens", "normalizer", "pre_tokenizer", "decoder" ->
            parts.put(name, tree(r, value));
        default -> r.skipValue();
      }
    }
    r.next();
    checkModel();
    checkNormalizer();
    readDeferredMerges();
    readAddedTokens();
  }

  /** The value at the current token as a tree. */
  private JsonValue tree(JsonReader r, JsonToken token) {
    int from = r.offset();
    return switch (token) {
      case BEGIN_OBJECT, BEGIN_ARRAY -> {
        r.skipValue();
        yield Json.parse(ByteBuffer.wrap(json, from, r.offset() + 1 - from), JsonLimits.DEFAULT);
      }
      case STRING -> new JsonString(r.text());
      case NUMBER -> JsonNumber.of(r.unsignedValue());
      case TRUE -> new JsonBoolean(true);
      case FALSE -> new JsonBoolean(false);
      default -> JsonNull.NULL;
    };
  }

  private void model(JsonReader r, JsonToken token) {
    expect(token == JsonToken.BEGIN_OBJECT, "model must be an object");
    while (r.next() == JsonToken.NAME) {
      String name = r.text();
      expect(!parts.containsKey("model." + name), "a field must not occur twice: model." + name);
      JsonToken value = r.next();
      if (name.equals("vocab")) {
        readVocabulary(r, value);
        parts.put("model.vocab", JsonNull.NULL);
      } else if (name.equals("merges")) {
        readOrDeferMerges(r, value);
        parts.put("model.merges", JsonNull.NULL);
      } else {
        parts.put("model." + name, tree(r, value));
      }
    }
  }

  private void readVocabulary(JsonReader r, JsonToken token) {
    expect(token == JsonToken.BEGIN_OBJECT, "model.vocab must be an object");
    while (r.next() == JsonToken.NAME) {
      int from = r.offset() + 1;
      int len = toBytes(from, from + r.rawLength(), 0);
      String name = len < 0 ? r.text() : "";
      r.next();
      long id = r.unsignedValue();
      if (id < 0 || id >= MAX_ID) {
        throw invalid("an id must be in [0, " + MAX_ID + ") at byte " + from);
      }
      if (len < 0
          ? !putUncommon(name, (int) id)
          : !vocabulary.putIndexed((int) id, scratch, 0, len)) {
        throw invalid("tokens and ids must be unique: id=" + id + " at byte " + from);
      }
    }
    vocabularySeen = true;
  }

  /** Adds a token written with escapes or outside the byte alphabet; returns whether it is new. */
  private boolean putUncommon(String name, int id) {
    byte[] bytes = ByteAlphabet.bytesOf(name);
    if (ByteAlphabet.covers(name)) {
      return vocabulary.putIndexed(id, bytes, 0, bytes.length);
    }
    if (vocabulary.has(id) || literals.put(name, id) != null) {
      return false;
    }
    vocabulary.putLiteral(id, bytes);
    return true;
  }

  /**
   * Writes the bytes that the characters of {@code json[from, to)} stand for to {@link #scratch}.
   *
   * @return the end in the scratch, or -1 if a character is escaped or not of the byte alphabet
   */
  private int toBytes(int from, int to, int at) {
    if (at + to - from > scratch.length) {
      scratch = Arrays.copyOf(scratch, 2 * (at + to - from));
    }
    int n = at;
    for (int i = from; i < to; i++) {
      int c = json[i];
      if (c < 0) {
        // two bytes of UTF-8 hold U+0080 to U+07FF; longer sequences are outside the alphabet
        c = c >= (byte) 0xE0 ? Character.MAX_VALUE : (c & 0x1F) << 6 | (json[++i] & 0x3F);
      } else if (c == '\\') {
        return -1;
      }
      int b = ByteAlphabet.byteOf((char) c);
      if (b < 0) {
        return -1;
      }
      scratch[n++] = (byte) b;
    }
    return n;
  }

  private void readOrDeferMerges(JsonReader r, JsonToken token) {
    expect(token == JsonToken.BEGIN_ARRAY, "model.merges must be an array");
    if (vocabularySeen) {
      readMerges(r, 0);
    } else {
      mergesFrom = r.offset();
      r.skipValue();
      mergesTo = r.offset() + 1;
    }
  }

  private void readDeferredMerges() {
    if (mergesTo > 0) {
      JsonReader r = new JsonReader(json, mergesFrom, mergesTo, JsonLimits.DEFAULT);
      r.next();
      readMerges(r, mergesFrom);
    }
  }

  /** Reads merges as {@code "left right"} or {@code ["left", "right"]}; offsets count from base. */
  private void readMerges(JsonReader r, int base) {
    merges = new MergeTable(vocabulary.size());
    JsonToken token = r.next();
    while (token != JsonToken.END_ARRAY) {
      if (token == JsonToken.STRING) {
        readSpacedMerge(r, base);
      } else {
        expect(token == JsonToken.BEGIN_ARRAY, "a merge must be a string or a pair");
        expect(r.next() == JsonToken.STRING, "a merge must be two strings");
        int mid = readSide(r, base, 0);
        expect(r.next() == JsonToken.STRING, "a merge must be two strings");
        addMerge(mid, readSide(r, base, mid));
        expect(r.next() == JsonToken.END_ARRAY, "a merge must be two strings");
      }
      token = r.next();
    }
  }

  private void readSpacedMerge(JsonReader r, int base) {
    int from = base + r.offset() + 1;
    int to = from + r.rawLength();
    int space = from;
    while (space < to && json[space] != ' ') {
      space++;
    }
    int mid = space < to ? toBytes(from, space, 0) : -1;
    int end = mid < 0 ? -1 : toBytes(space + 1, to, mid);
    if (end < 0) {
      String pair = r.text();
      int at = pair.indexOf(' ');
      expect(at > 0, "a merge must be two tokens and a space");
      mid = toBytes(pair.substring(0, at), 0);
      end = toBytes(pair.substring(at + 1), mid);
    }
    addMerge(mid, end);
  }

  private int readSide(JsonReader r, int base, int at) {
    int from = base + r.offset() + 1;
    int end = at < 0 ? -1 : toBytes(from, from + r.rawLength(), at);
    return end < 0 ? toBytes(r.text(), at) : end;
  }

  /** As the other method for a token that had escapes. */
  private int toBytes(String token, int at) {
    if (at < 0 || !ByteAlphabet.covers(token)) {
      return -1;
    }
    byte[] bytes = ByteAlphabet.bytesOf(token);
    if (at + bytes.length > scratch.length) {
      scratch = Arrays.copyOf(scratch, 2 * (at + bytes.length));
    }
    System.arraycopy(bytes, 0, scratch, at, bytes.length);
    return at + bytes.length;
  }

  /** Adds the merge of the tokens {@code scratch[0, mid)} and {@code scratch[mid, end)}. */
  private void addMerge(int mid, int end) {
    boolean known = mid >= 0 && end >= 0;
    int left = known ? vocabulary.find(scratch, 0, mid) : Vocabulary.NONE;
    int right = known ? vocabulary.find(scratch, mid, end) : Vocabulary.NONE;
    int result = known ? vocabulary.find(scratch, 0, end) : Vocabulary.NONE;
    if (left < 0 || right < 0 || result < 0) {
      throw invalid("a merge must name tokens of the vocabulary: rank=" + merges.size());
    }
    expect(merges.size() < MergeTable.MAX_SIZE, "there must be less than 2^20 merges");
    merges.add(left, right, result);
  }

  private void checkModel() {
    expect(vocabularySeen, "model.vocab must be there");
    supported("model.type", isString("model.type", "BPE"));
    supported("model.dropout", isAbsent("model.dropout"));
    supported("model.continuing_subword_prefix", isEmpty("model.continuing_subword_prefix"));
    supported("model.end_of_word_suffix", isEmpty("model.end_of_word_suffix"));
    supported("model.byte_fallback", !isTrue("model.byte_fallback"));
    ignoreMerges = isTrue("model.ignore_merges");
    supported("decoder", isAbsent("decoder") || isByteLevel(parts.get("decoder")));
  }

  private void checkNormalizer() {
    boolean none = isAbsent("normalizer");
    boolean empty =
        parts.get("normalizer") instanceof JsonObject o
            && o.get("normalizers") instanceof JsonArray list
            && list.size() == 0;
    composes = isNfc(parts.get("normalizer"));
    supported("normalizer", none || empty || composes);
  }

  private static boolean isNfc(@Nullable JsonValue value) {
    boolean inList =
        value instanceof JsonObject o
            && o.get("normalizers") instanceof JsonArray list
            && list.size() == 1
            && isNfc(list.get(0));
    return inList || (value instanceof JsonObject o && "NFC".equals(o.string("type")));
  }

  private void readAddedTokens() {
    if (!(parts.get("added_tokens") instanceof JsonArray list)) {
      return;
    }
    for (JsonValue value : list) {
      expect(value instanceof JsonObject, "an added token must be an object");
      if (value instanceof JsonObject token) {
        readAddedToken(token);
      }
    }
  }

  private void readAddedToken(JsonObject token) {
    String content = token.string("content");
    int id = token.get("id") instanceof JsonNumber n && n.isLong() ? (int) n.longValueExact() : -1;
    if (content == null || content.isEmpty() || id < 0 || id >= MAX_ID) {
      throw invalid("an added token must have content and an id in [0, " + MAX_ID + ")");
    }
    boolean plain = !isTrue(token, "single_word") && !isTrue(token, "lstrip");
    supported("added_tokens flags", plain && !isTrue(token, "rstrip"));
    int known = baseId(content);
    expect(
        known == Vocabulary.NONE ? !vocabulary.has(id) : known == id,
        "tokens and ids must be unique: token=" + Text.quote(content) + " id=" + id);
    if (known == Vocabulary.NONE) {
      vocabulary.putLiteral(id, content.getBytes(StandardCharsets.UTF_8));
    }
    boolean normalized = isTrue(token, "normalized");
    supported(
        "added_tokens content",
        !normalized || !composes || Normalizer.isNormalized(content, Normalizer.Form.NFC));
    if (isLetterOfLatin1(content) && !isTrue(token, "special")) {
      letters.add(content, id);
    } else {
      added.set(id);
    }
    special.set(id, isTrue(token, "special"));
    (normalized ? normalizedAdded : rawAdded).add(content, id);
  }

  /** Such a token controls nothing: it stands for a letter that no merge makes. */
  private static boolean isLetterOfLatin1(String content) {
    return content.length() == 1 && content.charAt(0) >= 0xC0 && content.charAt(0) <= 0xFF;
  }

  /** The id of a token of the base vocabulary as the file writes it. */
  int baseId(String token) {
    if (!ByteAlphabet.covers(token)) {
      return literals.getOrDefault(token, Vocabulary.NONE);
    }
    byte[] bytes = ByteAlphabet.bytesOf(token);
    return vocabulary.find(bytes, 0, bytes.length);
  }

  private PreTokenizer preTokenizer() {
    PreTokenizer known = PreTokenizerReader.read(parts.get("pre_tokenizer"));
    supported("pre_tokenizer", known != null);
    return Objects.requireNonNull(known);
  }

  private static boolean isByteLevel(@Nullable JsonValue value) {
    return value instanceof JsonObject o && "ByteLevel".equals(o.string("type"));
  }

  private boolean isAbsent(String part) {
    JsonValue value = parts.get(part);
    return value == null || value instanceof JsonNull;
  }

  private boolean isEmpty(String part) {
    return isAbsent(part) || isString(part, "");
  }

  private boolean isString(String part, String expected) {
    return parts.get(part) instanceof JsonString s && s.value().equals(expected);
  }

  private boolean isTrue(String part) {
    return parts.get(part) instanceof JsonBoolean b && b.value();
  }

  private static boolean isTrue(JsonObject object, String field) {
    return object.get(field) instanceof JsonBoolean b && b.value();
  }

  private void expect(boolean holds, String rule) {
    if (!holds) {
      throw invalid(rule);
    }
  }

  private TextException invalid(String rule) {
    return new TextException(
        ErrorCode.TOKENIZER_INVALID,
        "Cannot read " + source,
        rule,
        "use the tokenizer.json that was published with the checkpoint");
  }

  private void supported(String part, boolean isSupported) {
    if (isSupported) {
      return;
    }
    JsonValue value = parts.get(part);
    throw new TextException(
        ErrorCode.TOKENIZER_UNSUPPORTED,
        "Cannot use " + source,
        part + " is of a kind that is not supported: " + Text.quote(String.valueOf(value)),
        "use a tokenizer of a supported kind: " + SUPPORTED);
  }
}
