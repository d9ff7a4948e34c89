package dev.fathom.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TokenizerTest {

  @Test
  void everyPublishedGoldenEncodesAndDecodesAsHuggingFaceDoes() {
    int numLines = 0;
    for (String line : Tokenizers.lines("deepseek-v3.goldens.jsonl")) {
      JsonObject golden = (JsonObject) Json.parse(line, JsonLimits.DEFAULT);
      int[] ids = ints((JsonArray) golden.get("ids"));
      String text = golden.string("text");
      assertThat(Tokenizers.v3().encodeWithSpecials(text)).as(line).isEqualTo(ids);
      assertThat(Tokenizers.v3().decode(ids)).as(line).isEqualTo(golden.string("decoded"));
      numLines++;
    }
    assertThat(numLines).isEqualTo(485);
  }

  private static int[] ints(JsonArray array) {
    return array.values().stream().mapToInt(v -> (int) ((JsonNumber) v).longValueExact()).toArray();
  }

  /** Test vectors of the specification that are not among the goldens. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      ignoreLeadingAndTrailingWhitespace = false,
      quoteCharacter = '`',
      value = {
        "Hello, world!|19923 14 2058 3",
        "The year 20260515 has 8 digits|671 1141 223 939 25641 856 769 223 26 10923",
        "  two  spaces\\n\\n\\tand tab  |223 1234 223 13564 271 200 458 12826 262",
        "深度求索公司发布了V3模型。|17180 1645 4568 2086 53961 56 21 8842 320",
        "ひらがなとカタカナ|40259 4970 2936 2942 2495 15961 11767 15961 27071",
        "naïve café — “quotes” … 3.14159|2720 91223 57664 2136 811 403 7183 430 5532 223 21 16 9926"
            + " 3318",
        "if (x_1 != y[2]) { return \"ok\"; }|394 343 90 65 19 6269 383 61 20 8123 680 1354 582 633"
            + " 21390 837",
        "don't I'm we'll|20385 1664 342 4571 579 5922",
        "🚀🤖 émoji|74287 225 62377 247 2678 7129 7063",
        "a\\r\\nb\\n\\n\\n  c|67 204 201 68 6328 223 274",
        "<｜User｜>Hi<｜Assistant｜>|128803 23166 128804",
        "ÿø ü|107047 6308 10943",
        "１２３４٥٦٧|127167 25081 33095 152 101 152 102 152 103",
        " \\n |539 223",
        "xxxxxxxxxxxxxxxxx|89450 89450 90",
      })
  void vectorsOfTheSpecificationEncodeAsStated(String escaped, String ids) {
    String text = escaped.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t");
    int[] expected = java.util.Arrays.stream(ids.split(" ")).mapToInt(Integer::parseInt).toArray();
    assertThat(Tokenizers.v3().encodeWithSpecials(text)).isEqualTo(expected);
    assertThat(Tokenizers.v3().decode(expected)).isEqualTo(text);
  }
}
