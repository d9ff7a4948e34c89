package dev.fathom.json;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JsonTest {
  @Test
  void aDocumentBecomesATreeThatKeepsOrderAndNumberText() {
    JsonValue value =
        parse(" {\"b\": [1, -2.50, 1e-06, true, false, null], \"a\": {\"x\": \"\"}, \"\": []} \n");

    assertThat(value).isInstanceOf(JsonObject.class);
    JsonObject object = (JsonObject) value;
    assertThat(object.fields().keySet()).containsExactly("b", "a", "");
    assertThat(object.get("b")).isInstanceOf(JsonArray.class);
    assertThat(JsonWriter.compact(object))
        .isEqualTo("{\"b\":[1,-2.50,1e-06,true,false,null],\"a\":{\"x\":\"\"},\"\":[]}");
    assertThat(object.get("missing")).isNull();
    assertThat(object.has("a")).isTrue();
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      value = {
        "`\"a\\n\\t\\r\\b\\f\\/\\\\\\\"\"`, `a\n\t\r\b\f/\\\"`",
        "`\"\\u0061\\u00e9\\uD83D\\uDE00x\"`, `aé😀x`",
        "`\"<｜begin▁of▁sentence｜>\"`, `<｜begin▁of▁sentence｜>`",
        "`\"é\\u0041é\"`, `éAé`",
      })
  void stringsAreUnescaped(String json, String expected) {
    assertThat(parse(json)).isEqualTo(new JsonString(expected));
  }

  @Test
  void aNulCharacterAndADeleteCharacterAreKept() {
    assertThat(parse("\"\\u0000\u007f\"")).isEqualTo(new JsonString("\0\u007f"));
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      delimiter = '|',
      value = {
        "``                  | 0 | the document must not end before its value does",
        "`  `                | 2 | the document must not end before its value does",
        "`{`                 | 1 | a name must be a string in double quotes",
        "`[`                 | 1 | the document must not end before its value does",
        "`{\"a\"`            | 4 | a name must be followed by a colon",
        "`{\"a\":`           | 5 | the document must not end before its value does",
        "`{\"a\":1`          | 6 | a field must be followed by a comma or a closing brace",
        "`{\"a\":1,}`        | 7 | a name must be a string in double quotes",
        "`[1,]`              | 3 | a value must start here",
        "`[,1]`              | 1 | a value must start here",
        "`[1 2]`             | 3 | an element must be followed by a comma or a closing bracket",
        "`[1}`               | 2 | an element must be followed by a comma or a closing bracket",
        "`{\"a\" 1}`         | 5 | a name must be followed by a colon",
        "`{a:1}`             | 1 | a name must be a string in double quotes",
        "`{'a':1}`           | 1 | a name must be a string in double quotes",
        "`{1:1}`             | 1 | a name must be a string in double quotes",
        "`{}{}`              | 2 | nothing but white space may follow the value",
        "`1 x`               | 2 | nothing but white space may follow the value",
        "`NaN`               | 0 | a value must start here",
        "`Infinity`          | 0 | a value must start here",
        "`-Infinity`         | 1 | a number must have a digit here",
        "`nul`               | 0 | a value must start here",
        "`trUe`              | 0 | a value must start here",
        "`/* c */ 1`         | 0 | a value must start here",
        "`01`                | 0 | a number must not start with a needless zero",
        "`-00`               | 1 | a number must not start with a needless zero",
        "`+1`                | 0 | a value must start here",
        "`.5`                | 0 | a value must start here",
        "`1.`                | 2 | a number must have a digit here",
        "`1e`                | 2 | a number must have a digit here",
        "`1e+`               | 3 | a number must have a digit here",
        "`-`                 | 1 | a number must have a digit here",
        "`0x10`              | 1 | nothing but white space may follow the value",
        "`\"a`               | 0 | a string must be closed",
        "`\"a\nb\"`          | 2 | a control character in a string must be escaped",
        "`\"\\x\"`           | 1 | a backslash must be followed by one of \"\\/bfnrtu",
        "`\"\\`              | 1 | a backslash must be followed by one of \"\\/bfnrtu",
        "`\"\\u12g4\"`       | 1 | \\u must be followed by four hexadecimal digits",
        "`\"\\u12`           | 1 | \\u must be followed by four hexadecimal digits",
        "`\"\\uD800\"`       | 1 | a surrogate must be part of a pair",
        "`\"\\uD800\\n\"`    | 1 | a surrogate must be part of a pair",
        "`\"\\uD800\\u0041\"`| 1 | a surrogate must be part of a pair",
        "`\"\\uDC00\\uD800\"`| 1 | a surrogate must be part of a pair",
        "`{\"a\":1,\"b\":2,\"a\":1}`   | 13 | a name must not occur twice in one object",
        "`{\"a\":1,\"\\u0061\":1}`     | 7 | a name must not occur twice in one object",
      })
  void aBrokenRuleIsNamedWithItsOffset(String json, int offset, String rule) {
    JsonException e = catchThrowableOfType(JsonException.class, () -> parse(json));

    assertThat(e).as(json).isNotNull();
    assertThat(e.rule()).isEqualTo(rule);
    assertThat(e.offset()).isEqualTo(offset);
    assertThat(e).hasMessage(rule + ": offset=" + offset);
  }

  @ParameterizedTest
  @CsvSource({
    "ff, 1", // never a lead byte
    "c080, 1", // overlong NUL
    "e08080, 1", // overlong
    "f0808080, 1", // overlong
    "eda080, 1", // CESU surrogate
    "f4908080, 1", // above U+10FFFF
    "f5808080, 1",
    "80, 1", // continuation byte alone
    "61c3, 2", // cut by the closing quote
    "e282, 1",
  })
  void malformedUtf8IsRefused(String hex, int offset) {
    byte[] body = java.util.HexFormat.of().parseHex(hex);
    byte[] json = new byte[body.length + 2];
    json[0] = '"';
    json[json.length - 1] = '"';
    System.arraycopy(body, 0, json, 1, body.length);

    assertThatThrownBy(() -> Json.parse(json, JsonLimits.DEFAULT))
        .isInstanceOf(JsonException.class)
        .hasMessage("must be valid UTF-8: offset=" + offset);
  }

  @Test
  void everyCodePointSurvivesEscapedAndRaw() {
    StringBuilder all = new StringBuilder();
    for (int c = 0x80; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 97) {
      if (c < 0xD800 || c > 0xDFFF) {
        all.appendCodePoint(c);
      }
    }
    StringBuilder escapes = new StringBuilder("\"");
    for (int i = 0; i < all.length(); i++) {
      escapes.append(String.format(java.util.Locale.ROOT, "\\u%04x", (int) all.charAt(i)));
    }

    assertThat(parse("\"" + all + "\"")).isEqualTo(new JsonString(all.toString()));
    assertThat(parse(escapes + "\"")).isEqualTo(new JsonString(all.toString()));
  }

  @Test
  void nulPaddingIsRefused() {
    assertThatThrownBy(() -> parse("{}\0"))
        .hasMessage("nothing but white space may follow the value: offset=2");
  }

  @Test
  void aByteOrderMarkIsRefused() {
    assertThatThrownBy(() -> parse("\uFEFF{}")).hasMessage("a value must start here: offset=0");
  }

  @Test
  void aLoneSurrogateInAJavaStringIsRefused() {
    assertThatThrownBy(() -> parse("\"é\uD83D\""))
        .hasMessage("a surrogate must be part of a pair: offset=3");
  }

  @Test
  void depthIsLimitedAndNestingNeverOverflowsTheStack() {
    assertThat(parse("[".repeat(64) + "]".repeat(64))).isInstanceOf(JsonArray.class);
    assertThatThrownBy(() -> parse("[".repeat(65) + "]".repeat(65)))
        .hasMessage("must not nest deeper than 64 levels: offset=64");
    assertThatThrownBy(() -> parse("[".repeat(100_000))).isInstanceOf(JsonException.class);
    assertThatThrownBy(() -> parse("{\"a\":".repeat(100_000))).isInstanceOf(JsonException.class);
    assertThatThrownBy(() -> Json.parse("[[[[[[[[[]]]]]]]]]", JsonLimits.HEADER))
        .hasMessage("must not nest deeper than 8 levels: offset=8");
    assertThat(Json.parse("[[[[[[[[]]]]]]]]", JsonLimits.HEADER)).isNotNull();
  }

  @Test
  void numbersKeepTheirTextUntilAskedForAType() {
    JsonNumber big = (JsonNumber) parse("1000000000000000019884624838656");
    assertThat(big.isIntegral()).isTrue();
    assertThat(big.isLong()).isFalse();
    assertThat(big.doubleValue()).isEqualTo(1e30);
    assertThatThrownBy(big::longValueExact)
        .isInstanceOf(ArithmeticException.class)
        .hasMessage("must be an integer that fits 64 bits");
    assertThat(((JsonNumber) parse("-9223372036854775808")).longValueExact())
        .isEqualTo(Long.MIN_VALUE);
    assertThat(((JsonNumber) parse("9223372036854775808")).isLong()).isFalse();
    assertThat(((JsonNumber) parse("16.0")).isIntegral()).isFalse();
    assertThat(((JsonNumber) parse("1e400")).doubleValue()).isInfinite();
    assertThat(((JsonNumber) parse("-0")).longValueExact()).isZero();
    assertThat(((JsonNumber) parse("0.1")).decimalValue()).isEqualTo(new BigDecimal("0.1"));
  }

  @Test
  void aGiantNumberIsRefusedAndAGiantStringIsRead() {
    assertThatThrownBy(() -> parse("9".repeat(10_000_000)))
        .hasMessage("a number must have at most 1000 characters: offset=0");
    assertThat(((JsonString) parse("\"" + "x".repeat(10_000_000) + "\"")).value())
        .hasSize(10_000_000);
  }

  @Test
  void aBufferIsReadFromItsPositionAndNotMoved() {
    ByteBuffer buffer = ByteBuffer.wrap("xx{}y".getBytes(UTF_8)).position(2).limit(4);

    assertThat(Json.parse(buffer, JsonLimits.DEFAULT)).isEqualTo(JsonObject.EMPTY);
    assertThat(buffer.position()).isEqualTo(2);
  }

  @Test
  void limitsAreChecked() {
    assertThatThrownBy(() -> new JsonLimits(513, 1000))
        .hasMessage("must be in [1, 512]: maxDepth=513");
    assertThatThrownBy(() -> new JsonLimits(8, 19)).hasMessage("must be >= 20: maxNumberLength=19");
  }

  @Test
  void mutatedDocumentsEitherParseOrBreakARuleAndWhatParsesIsWrittenBack() {
    Random random = new Random(42);
    byte[] seed =
        "{\"a\":[1,2.5e-3,\"x\\u00e9\\n\",true,null],\"é😀\":{\"b\":{}},\"c\":[[],[{}]]}"
            .getBytes(UTF_8);
    int parsed = 0;
    for (int i = 0; i < 100_000; i++) {
      byte[] mutant = seed.clone();
      for (int n = random.nextInt(4); n >= 0; n--) {
        mutant[random.nextInt(mutant.length)] =
            (byte) (random.nextBoolean() ? random.nextInt(256) : seed[random.nextInt(seed.length)]);
      }
      try {
        JsonValue value = Json.parse(mutant, JsonLimits.DEFAULT);
        parsed++;
        assertThat(parse(JsonWriter.compact(value))).isEqualTo(value);
      } catch (JsonException e) {
        assertThat(e.offset()).isBetween(0, mutant.length);
      }
    }
    assertThat(parsed).isBetween(1_000, 60_000);
  }

  private static JsonValue parse(String json) {
    return Json.parse(json, JsonLimits.DEFAULT);
  }
}
