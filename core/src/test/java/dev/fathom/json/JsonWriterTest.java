package dev.fathom.json;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JsonWriterTest {
  private static final JsonObject VALUE =
      JsonObject.builder()
          .put("name", "Zoë \"x\" \\ / \n\t\u0001\u007f😀")
          .put("n", 3)
          .put("x", 0.5)
          .put("ok", true)
          .put("none", (String) null)
          .put("list", JsonArray.of(JsonNumber.of(1), JsonObject.EMPTY, JsonArray.of()))
          .build();

  @Test
  void thePythonStyleEqualsJsonDumpsWithoutAsciiEscapes() {
    assertThat(JsonWriter.python(VALUE))
        .isEqualTo(
            "{\"name\": \"Zoë \\\"x\\\" \\\\ / \\n\\t\\u0001\u007f😀\", \"n\": 3, \"x\": 0.5,"
                + " \"ok\": true, \"none\": null, \"list\": [1, {}, []]}");
  }

  @Test
  void theCompactStyleHasNoWhiteSpace() {
    assertThat(JsonWriter.compact(VALUE))
        .isEqualTo(
            "{\"name\":\"Zoë \\\"x\\\" \\\\ / \\n\\t\\u0001\u007f😀\",\"n\":3,\"x\":0.5,"
                + "\"ok\":true,\"none\":null,\"list\":[1,{},[]]}");
    assertThat(VALUE).hasToString(JsonWriter.compact(VALUE));
  }

  @Test
  void thePrettyStyleIndentsByTwo() {
    JsonObject value =
        JsonObject.builder()
            .put("a", JsonArray.of(JsonNumber.of(1), JsonNumber.of(2)))
            .put("b", JsonObject.EMPTY)
            .build();

    assertThat(JsonWriter.pretty(value))
        .isEqualTo("{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
  }

  /** Right column: what CPython 3.11 prints for json.dumps(json.loads(left)). */
  @ParameterizedTest
  @CsvSource({
    "1, 1",
    "-0, 0",
    "1.0, 1.0",
    "-0.0, -0.0",
    "1e5, 100000.0",
    "1E400, Infinity",
    "-1E400, -Infinity",
    "1e16, 1e+16",
    "1e15, 1000000000000000.0",
    "123456789012345678.0, 1.2345678901234568e+17",
    "0.0001, 0.0001",
    "0.00001, 1e-05",
    "1.5e-7, 1.5e-07",
    "1e-300, 1e-300",
    "1.7976931348623157e308, 1.7976931348623157e+308",
    "2.50, 2.5",
    "100.0, 100.0",
    "0.1, 0.1",
    "1e22, 1e+22",
    "4.9e-324, 5e-324",
    "12345678901234567890, 12345678901234567890",
  })
  void pythonNumbersHavePythonsForm(String source, String expected) {
    assertThat(JsonWriter.python(Json.parse(source, JsonLimits.DEFAULT))).isEqualTo(expected);
    assertThat(JsonWriter.compact(Json.parse(source, JsonLimits.DEFAULT))).isEqualTo(source);
  }

  @Test
  void aLoneSurrogateIsWrittenAsTheReplacementCharacter() {
    assertThat(JsonWriter.compact(new JsonString("a\uD83Db\uDE00")))
        .isEqualTo("\"a\uFFFDb\uFFFD\"");
  }

  @Test
  void aNumberMustBeFinite() {
    assertThatThrownBy(() -> JsonNumber.of(Double.NaN)).hasMessage("must be finite: value=NaN");
  }

  @Test
  void aBuilderStartsAnewAfterBuild() {
    JsonObject.Builder builder = JsonObject.builder().put("a", 1);
    JsonObject first = builder.build();
    builder.put("b", 2);

    assertThat(first.fields().keySet()).containsExactly("a");
    assertThat(builder.build().fields().keySet()).containsExactly("b");
  }
}
