package dev.fathom.json;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

class JsonReaderTest {
  @Test
  void tokensComeInDocumentOrderWithTextAndOffset() {
    JsonReader reader = reader("{\"a\" : [1, \"b\\n\", true, false, null], \"c\": {}}");
    List<String> seen = new ArrayList<>();
    JsonToken token;
    do {
      token = reader.next();
      boolean text =
          token == JsonToken.NAME || token == JsonToken.STRING || token == JsonToken.NUMBER;
      seen.add(token + (text ? "=" + reader.text() : "") + "@" + reader.offset());
    } while (token != JsonToken.END);

    assertThat(seen)
        .containsExactly(
            "BEGIN_OBJECT@0",
            "NAME=a@1",
            "BEGIN_ARRAY@7",
            "NUMBER=1@8",
            "STRING=b\n@11",
            "TRUE@18",
            "FALSE@24",
            "NULL@31",
            "END_ARRAY@35",
            "NAME=c@38",
            "BEGIN_OBJECT@43",
            "END_OBJECT@44",
            "END_OBJECT@45",
            "END@46");
  }

  @Test
  void aRangeOfAnArrayIsReadAndOffsetsCountFromItsStart() {
    byte[] bytes = "xx[1]yy".getBytes(UTF_8);
    JsonReader reader = new JsonReader(bytes, 2, 5, JsonLimits.DEFAULT);

    assertThat(reader.next()).isEqualTo(JsonToken.BEGIN_ARRAY);
    assertThat(reader.offset()).isZero();
    assertThat(reader.next()).isEqualTo(JsonToken.NUMBER);
    assertThat(reader.rawLength()).isEqualTo(1);
    assertThat(reader.next()).isEqualTo(JsonToken.END_ARRAY);
    assertThat(reader.next()).isEqualTo(JsonToken.END);
    assertThat(reader.next()).isEqualTo(JsonToken.END);
    assertThatThrownBy(() -> new JsonReader(bytes, 5, 2, JsonLimits.DEFAULT))
        .hasMessage("must be a range of the array: from=5 to=2 length=7");
  }

  @Test
  void unsignedValuesAreIntegersWithoutSign() {
    assertThat(unsigned("0")).isZero();
    assertThat(unsigned("9223372036854775807")).isEqualTo(Long.MAX_VALUE);
    assertThat(unsigned("9223372036854775808")).isEqualTo(-1);
    assertThat(unsigned("18446744073709551616")).isEqualTo(-1);
    assertThat(unsigned("-0")).isEqualTo(-1);
    assertThat(unsigned("16.0")).isEqualTo(-1);
    assertThat(unsigned("16e0")).isEqualTo(-1);
    assertThat(unsigned("\"16\"")).isEqualTo(-1);
  }

  @Test
  void textIsComparedWithoutMakingAString() {
    JsonReader reader = reader("[\"abc\", \"a\\u0062c\", \"é\", 12]");
    reader.next();
    reader.next();
    assertThat(reader.isPlain()).isTrue();
    assertThat(reader.textEquals("abc")).isTrue();
    assertThat(reader.textEquals("abd")).isFalse();
    assertThat(reader.textEquals("ab")).isFalse();
    reader.next();
    assertThat(reader.isPlain()).isFalse();
    assertThat(reader.textEquals("abc")).isTrue();
    reader.next();
    assertThat(reader.isPlain()).isFalse();
    assertThat(reader.textEquals("é")).isTrue();
    assertThat(reader.textEquals("Ã©")).isFalse();
    reader.next();
    assertThat(reader.textEquals("12")).isTrue();
  }

  @Test
  void aSkippedValueIsStillChecked() {
    JsonReader reader = reader("[[1,[2,{\"a\":[]}]],3]");
    reader.next();
    reader.next();
    reader.skipValue();
    assertThat(reader.next()).isEqualTo(JsonToken.NUMBER);
    reader.skipValue();
    assertThat(reader.text()).isEqualTo("3");

    JsonReader broken = reader("[[1,[2,{\"a\":[}]],3]");
    broken.next();
    broken.next();
    assertThatThrownBy(broken::skipValue).hasMessage("a value must start here: offset=13");
  }

  @Test
  void onlyNamesStringsAndNumbersHaveText() {
    JsonReader reader = reader("true");
    reader.next();

    assertThatThrownBy(reader::text)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("must be at a name, string or number: token=TRUE");
  }

  @Test
  void theTokenizerOfDeepSeekV3IsParsedWithinItsBudget() throws IOException {
    Path path = Path.of("../../shared/tokenizers/deepseek-v3.tokenizer.json");
    Assumptions.assumeTrue(Files.exists(path), "further goldens are not present");
    byte[] bytes = Files.readAllBytes(path);

    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    long start = threads.getCurrentThreadCpuTime();
    JsonObject root = (JsonObject) Json.parse(bytes, JsonLimits.DEFAULT);
    long millis = (threads.getCurrentThreadCpuTime() - start) / 1_000_000;

    assertThat(
            ((JsonObject) ((JsonObject) root.fields().get("model")).fields().get("vocab")).fields())
        .hasSize(128_000);
    assertThat(millis)
        .as("250 ms cold on an idle machine; four times that when shared")
        .isLessThan(1000);
  }

  private static long unsigned(String json) {
    JsonReader reader = reader(json);
    reader.next();
    return reader.unsignedValue();
  }

  private static JsonReader reader(String json) {
    byte[] bytes = json.getBytes(UTF_8);
    return new JsonReader(bytes, 0, bytes.length, JsonLimits.DEFAULT);
  }
}
