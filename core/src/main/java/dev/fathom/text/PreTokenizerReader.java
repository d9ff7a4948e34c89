package dev.fathom.text;

import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Recognises the pre-tokenizer of a {@code tokenizer.json} by the very patterns that were published
 * with a family.
 */
final class PreTokenizerReader {
  private static final String DIGIT = "\\p{N}";

  private PreTokenizerReader() {}

  /** Returns the scanner of what the file describes, null if there is none. */
  static @Nullable PreTokenizer read(@Nullable JsonValue value) {
    if (!(value instanceof JsonObject object)
        || !"Sequence".equals(object.string("type"))
        || !(object.get("pretokenizers") instanceof JsonArray list)
        || list.size() == 0
        || !isByteLevel(list.get(list.size() - 1))) {
      return null;
    }
    List<String> patterns = new ArrayList<>();
    for (int i = 0; i < list.size() - 1; i++) {
      String pattern = pattern(list.get(i));
      if (pattern == null) {
        return null;
      }
      patterns.add(spelledOut(pattern));
    }
    return scanner(patterns);
  }

  private static @Nullable PreTokenizer scanner(List<String> patterns) {
    if (patterns.equals(spelledOut(DeepSeekV3PreTokenizer.PATTERNS))) {
      return new DeepSeekV3PreTokenizer();
    }
    if (patterns.equals(withDigits(DeepSeekLlmPreTokenizer.LLM_PATTERNS))) {
      return DeepSeekLlmPreTokenizer.llm();
    }
    if (patterns.equals(withDigits(DeepSeekLlmPreTokenizer.CODER_PATTERNS))) {
      return DeepSeekLlmPreTokenizer.coder();
    }
    if (patterns.equals(List.of(WordPreTokenizer.QWEN_PATTERN))) {
      return new WordPreTokenizer(1);
    }
    return patterns.equals(List.of(WordPreTokenizer.LLAMA_PATTERN))
        ? new WordPreTokenizer(3)
        : null;
  }

  private static List<String> withDigits(List<String> patterns) {
    List<String> all = new ArrayList<>(spelledOut(patterns));
    all.add(DIGIT);
    return all;
  }

  /** The pattern of a split with behaviour Isolated, and of digits one by one; else null. */
  private static @Nullable String pattern(JsonValue value) {
    if (!(value instanceof JsonObject split)) {
      return null;
    }
    if ("Digits".equals(split.string("type"))) {
      return is(split, "individual_digits", true) ? DIGIT : null;
    }
    boolean isolated =
        "Split".equals(split.string("type"))
            && "Isolated".equals(split.string("behavior"))
            && !is(split, "invert", true);
    return isolated && split.get("pattern") instanceof JsonObject pattern
        ? pattern.string("Regex")
        : null;
  }

  /** Line ends of a pattern are written as such by some files, as escapes by others. */
  private static String spelledOut(String pattern) {
    return pattern.replace("\r", "\\r").replace("\n", "\\n");
  }

  private static List<String> spelledOut(List<String> patterns) {
    return patterns.stream().map(PreTokenizerReader::spelledOut).toList();
  }

  private static boolean isByteLevel(JsonValue value) {
    return value instanceof JsonObject o
        && "ByteLevel".equals(o.string("type"))
        && !is(o, "add_prefix_space", true)
        && is(o, "use_regex", false);
  }

  private static boolean is(JsonObject object, String field, boolean expected) {
    return object.get(field) instanceof JsonBoolean b && b.value() == expected;
  }
}
