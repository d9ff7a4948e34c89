package dev.fathom.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.json.JsonWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.function.IntPredicate;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The class of every code point against the regex engine inside HuggingFace's tokenizer. */
class CharClassTest {
  private static final int BLOCK_LEN = 4096;

  @ParameterizedTest
  @CsvSource({
    "[^\\p{L}],1",
    "[^\\p{M}],2",
    "[^\\p{N}],3",
    "[^\\p{P}\\p{S}],4",
    "[\\S\\r\\n],5",
    "[^\\r\\n],6",
  })
  void everyCodePointIsInTheClassThatTheReferencePutsItIn(String others, int charClass) {
    BitSet expected = notMatched(others);
    IntPredicate inClass = c -> (CharClass.ofCodePoint(c) & 7) == charClass;
    List<String> different = new ArrayList<>();
    for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
      if (isAsked(c) && inClass.test(c) != expected.get(c)) {
        different.add(Integer.toHexString(c));
      }
    }
    assertThat(different).isEmpty();
  }

  /** Planes 4 to 13 are empty and 15 and 16 private: their first and last blocks stand for them. */
  private static boolean isAsked(int c) {
    int plane = c >> 16;
    int block = (c & 0xFFFF) / BLOCK_LEN;
    boolean sampled = (plane > 3 && plane < 14) || plane > 14;
    return (c < 0xD800 || c > 0xDFFF) && (!sampled || block == 0 || block == 15);
  }

  /** What a tokenizer leaves that removes all matches and keeps other bytes as tokens. */
  private static BitSet notMatched(String regex) {
    BitSet left = new BitSet();
    try (HuggingFace reference = HuggingFace.of(removing(regex))) {
      for (int from = 0; from <= Character.MAX_CODE_POINT; from += BLOCK_LEN) {
        StringBuilder text = new StringBuilder();
        for (int c = from; c < from + BLOCK_LEN; c++) {
          if (isAsked(c)) {
            text.appendCodePoint(c);
          }
        }
        int[] ids = text.isEmpty() ? new int[0] : reference.encode(text.toString());
        byte[] bytes = new byte[ids.length];
        for (int i = 0; i < ids.length; i++) {
          bytes[i] = (byte) ids[i];
        }
        new String(bytes, StandardCharsets.UTF_8).codePoints().forEach(left::set);
      }
    }
    return left;
  }

  private static byte[] removing(String regex) {
    StringBuilder vocabulary = new StringBuilder();
    for (char c = 0; c < 0x144; c++) {
      if (ByteAlphabet.byteOf(c) >= 0) {
        vocabulary.append(vocabulary.isEmpty() ? "" : ",");
        JsonWriter.quote(vocabulary, String.valueOf(c));
        vocabulary.append(':').append(ByteAlphabet.byteOf(c));
      }
    }
    StringBuilder json = new StringBuilder();
    json.append("{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],");
    json.append("\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[");
    json.append("{\"type\":\"Split\",\"behavior\":\"Removed\",\"invert\":false,\"pattern\":");
    json.append("{\"Regex\":");
    JsonWriter.quote(json, regex);
    json.append("}},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,");
    json.append("\"use_regex\":false}]},\"post_processor\":null,\"decoder\":null,\"model\":{");
    json.append("\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,");
    json.append("\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,");
    json.append("\"fuse_unk\":false,\"byte_fallback\":false,\"merges\":[],\"vocab\":{");
    json.append(vocabulary).append("}}}");
    return json.toString().getBytes(StandardCharsets.UTF_8);
  }
}
