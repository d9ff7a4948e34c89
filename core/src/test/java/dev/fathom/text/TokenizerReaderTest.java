package dev.fathom.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.TextException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TokenizerReaderTest {
  private static final String SAMPLE = new String(Tokenizers.sampleJson(), StandardCharsets.UTF_8);

  @TempDir Path folder;

  private static Tokenizer parse(String json) {
    return Tokenizer.parse(json.getBytes(StandardCharsets.UTF_8));
  }

  private static String sampleWith(String old, String replacement) {
    assertThat(SAMPLE).contains(old);
    int at = SAMPLE.indexOf(old);
    return SAMPLE.substring(0, at) + replacement + SAMPLE.substring(at + old.length());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\\\\p{N}{1,3}|\\\\p{N}{1,4}|pre_tokenizer",
        "\"Isolated\"|\"Removed\"|pre_tokenizer",
        "\"invert\": false|\"invert\": true|pre_tokenizer",
        "\"type\": \"BPE\"|\"type\": \"Unigram\"|model.type",
        "\"byte_fallback\": false|\"byte_fallback\": true|model.byte_fallback",
        "\"dropout\": null|\"dropout\": 1|model.dropout",
        "\"end_of_word_suffix\": null|\"end_of_word_suffix\": \"</w>\"|model.end_of_word_suffix",
        "\"normalizers\": []|\"normalizers\": [{\"type\": \"NFKC\"}]|normalizer",
        "\"lstrip\": false|\"lstrip\": true|added_tokens flags",
      })
  void whatIsNotImplementedIsRefusedByName(String old, String replacement, String part) {
    assertThatThrownBy(() -> parse(sampleWith(old, replacement)))
        .isInstanceOfSatisfying(
            TextException.class,
            e -> {
              assertThat(e.code()).isEqualTo(ErrorCode.TOKENIZER_UNSUPPORTED);
              assertThat(e.why()).startsWith(part + " is of a kind that is not supported");
              assertThat(e.fix()).contains("DeepSeek V3 family");
            });
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"id\": 4095,|\"id\": 4094,|tokens and ids must be unique",
        "\"id\": 4095,|\"id\": -1,|an added token must have content and an id",
        "\"id\": 4095,|\"id\": 4194304,|an added token must have content and an id",
        "\"Ġ\",|\"Ġnothing\",|a merge must name tokens of the vocabulary",
        "\"model\": {|\"model\": [], \"m\": {|model must be an object",
        "\"vocab\": {|\"words\": {|model.vocab must be there",
        "\"version\": \"1.0\"|\"model\": {}|a field must not occur twice",
        "\"merges\": [|\"merges\": [7,|a merge must be a string or a pair",
      })
  void damagedFilesAreRefusedWithTheRuleTheyBreak(String old, String replacement, String rule) {
    assertThatThrownBy(() -> parse(sampleWith(old, replacement)))
        .isInstanceOf(TextException.class)
        .hasMessageStartingWith("FATHOM-3000")
        .hasMessageContaining(rule);
  }

  @Test
  void noTruncatedOrGarbledFileIsAcceptedOrEscapesAsAnotherException() {
    Random random = new Random(9);
    byte[] bytes = Tokenizers.sampleJson();
    for (int i = 0; i < 300; i++) {
      byte[] cut = Arrays.copyOf(bytes, random.nextInt(bytes.length - 2));
      assertThatThrownBy(() -> Tokenizer.parse(cut)).isInstanceOf(TextException.class);
      byte[] garbled = bytes.clone();
      garbled[random.nextInt(garbled.length)] = (byte) random.nextInt(256);
      try {
        assertThat(Tokenizer.parse(garbled).size()).isPositive();
      } catch (TextException e) {
        assertThat(e.code().number()).isBetween(3000, 3001);
      }
    }
  }

  @Test
  void aMissingFileAndAFolderSayHowToGoOn() {
    assertThatThrownBy(() -> Tokenizer.load(folder.resolve("tokenizer.json")))
        .hasMessageStartingWith("FATHOM-3002")
        .hasMessageContaining("there is no such file");
    assertThatThrownBy(() -> Tokenizer.load(folder)).hasMessageStartingWith("FATHOM-3002");
  }

  @Test
  void aLargeFilePointerInPlaceOfTheFileIsNamed() throws Exception {
    Path file = folder.resolve("tokenizer.json");
    Files.writeString(file, "version https://git-lfs.github.com/spec/v1\noid sha256:00\n");
    assertThatThrownBy(() -> Tokenizer.load(file))
        .hasMessageStartingWith("FATHOM-3000")
        .hasMessageContaining("Git LFS pointer");
  }

  @Test
  void mergesInFrontOfTheVocabularyReadTheSame() {
    int merges = SAMPLE.indexOf("\"merges\": [");
    int vocabulary = SAMPLE.indexOf("\"vocab\": {");
    String list = SAMPLE.substring(merges, SAMPLE.lastIndexOf(']') + 1);
    String reordered =
        SAMPLE.substring(0, vocabulary)
            + list
            + ","
            + SAMPLE.substring(vocabulary, SAMPLE.lastIndexOf(',', merges))
            + "}}";
    String text = "The quick brown fox computes 1234 values.\n";
    assertThat(parse(reordered).encodeText(text)).isEqualTo(Tokenizers.sample().encodeText(text));
  }

  @Test
  void wholePiecesAreTakenUnmergedWhereTheFileSaysSo() {
    // "abc" is a token that no merge makes
    String json =
        "{\"pre_tokenizer\": "
            + SAMPLE.substring(
                SAMPLE.indexOf("\"pre_tokenizer\": ") + 17, SAMPLE.indexOf("\"post_processor\""))
            + "\"model\": {\"type\": \"BPE\", \"ignore_merges\": IGNORE, \"vocab\": {\"a\": 0, \"b\": 1,"
            + " \"c\": 2, \"ab\": 3, \"abc\": 4}, \"merges\": [\"a b\"]}}";
    assertThat(parse(json.replace("IGNORE", "true")).encodeText("abc")).containsExactly(4);
    assertThat(parse(json.replace("IGNORE", "false")).encodeText("abc")).containsExactly(3, 2);
  }
}
