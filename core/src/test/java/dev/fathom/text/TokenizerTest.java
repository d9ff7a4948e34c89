package dev.fathom.text;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TokenizerTest {

  @Test
  void everyPublishedGoldenEncodesAndDecodesAsHuggingFaceDoes() {
    assertThat(checkGoldens(Tokenizers.lines("deepseek-v3.goldens.jsonl"))).isEqualTo(484);
  }

  @Test
  void theWholeListOfGoldensDoesTooWhereItLiesBesideTheProject() throws IOException {
    Path list = Path.of("../../shared/tokenizers/deepseek-v3.goldens.jsonl");
    assumeTrue(Files.exists(list), "the shared goldens are not here");
    assertThat(checkGoldens(Files.readAllLines(list))).isEqualTo(485);
  }

  private static int checkGoldens(List<String> lines) {
    int numLines = 0;
    for (String line : lines) {
      JsonObject golden = (JsonObject) Json.parse(line, JsonLimits.DEFAULT);
      int[] ids = ints((JsonArray) golden.get("ids"));
      String text = golden.string("text");
      assertThat(Tokenizers.v3().encodeWithSpecials(text)).as(line).isEqualTo(ids);
      assertThat(Tokenizers.v3().decode(ids)).as(line).isEqualTo(golden.string("decoded"));
      numLines++;
    }
    return numLines;
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
    int[] expected = Arrays.stream(ids.split(" ")).mapToInt(Integer::parseInt).toArray();
    assertThat(Tokenizers.v3().encodeWithSpecials(text)).isEqualTo(expected);
    assertThat(Tokenizers.v3().decode(expected)).isEqualTo(text);
  }

  @Test
  void aMegabyteOfOneLetterTakesLessThanASecond() {
    Tokenizer tokenizer = Tokenizers.v3();
    for (String letter : List.of("x", "한")) {
      String text = letter.repeat(1_000_000 / letter.getBytes(UTF_8).length);
      long best = Long.MAX_VALUE;
      int[] ids = {};
      for (int i = 0; i < 3; i++) {
        long start = cpuNanos();
        ids = tokenizer.encodeText(text);
        best = Math.min(best, cpuNanos() - start);
      }
      assertThat(tokenizer.decode(ids).equals(text)).isTrue();
      assertThat(best).as(letter).isLessThan(1_000_000_000L);
    }
  }

  /** Processor time of this thread: a busy machine must not fail the test. */
  private static long cpuNanos() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  @Test
  void longPiecesMergeAsShortOnesDoWhereverTheHeapTakesOver() {
    Tokenizer tokenizer = Tokenizers.sample();
    for (int len = 1; len < 120; len += 7) {
      String text = "a" + "banana".repeat(20).substring(0, len);
      int[] ids = tokenizer.encodeText(text);
      assertThat(ids).isEqualTo(mergedNaively(tokenizer, text));
    }
  }

  /** The definition: the best pair of the whole piece, again and again. */
  private static int[] mergedNaively(Tokenizer tokenizer, String piece) {
    JsonObject model =
        (JsonObject)
            ((JsonObject) Json.parse(Tokenizers.sampleJson(), JsonLimits.DEFAULT)).get("model");
    List<String> symbols = new ArrayList<>(List.of(piece.split("")));
    for (JsonValue merge : (JsonArray) model.get("merges")) {
      String left = ((JsonString) ((JsonArray) merge).get(0)).value();
      String right = ((JsonString) ((JsonArray) merge).get(1)).value();
      for (int i = 0; i + 1 < symbols.size(); i++) {
        if (symbols.get(i).equals(left) && symbols.get(i + 1).equals(right)) {
          symbols.set(i, left + right);
          symbols.remove(i + 1);
        }
      }
    }
    return symbols.stream().mapToInt(tokenizer::tokenId).toArray();
  }

  @Test
  void anUnpairedSurrogateCountsAsTheReplacementCharacter() {
    Tokenizer tokenizer = Tokenizers.v3();
    assertThat(tokenizer.encodeText("a\uD83Db\uDE80 \uDE80\uD83D"))
        .isEqualTo(tokenizer.encodeText("a\uFFFDb\uFFFD \uFFFD\uFFFD"));
  }

  @Test
  void addedTokensComeOnlyFromParsedText() {
    Tokenizer tokenizer = Tokenizers.v3();
    for (Map.Entry<String, Integer> token : tokenizer.addedTokens().entrySet()) {
      assertThat(tokenizer.encodeWithSpecials("a" + token.getKey() + "b"))
          .contains(token.getValue());
      int[] asText = tokenizer.encodeText("a" + token.getKey() + "b");
      assertThat(Arrays.stream(asText).noneMatch(tokenizer::isAdded)).isTrue();
      assertThat(tokenizer.decode(asText)).isEqualTo("a" + token.getKey() + "b");
    }
    assertThat(tokenizer.addedTokens()).hasSize(818);
  }

  @Test
  void vocabularyAccessorsAgreeWithEachOther() {
    Tokenizer tokenizer = Tokenizers.v3();
    assertThat(tokenizer.size()).isEqualTo(128_815);
    assertThat(tokenizer.tokenId("Ġthe")).isEqualTo(tokenizer.encodeText(" the")[0]);
    assertThat(tokenizer.tokenId(" the")).isEqualTo(Tokenizer.NO_TOKEN);
    assertThat(tokenizer.tokenId("<｜User｜>")).isEqualTo(128_803);
    assertThat(tokenizer.tokenBytes(128_803)).asString(UTF_8).isEqualTo("<｜User｜>");
    assertThat(tokenizer.isSpecial(1)).isTrue();
    assertThat(tokenizer.isSpecial(128_803)).isFalse();
    assertThat(tokenizer.isAdded(128_803)).isTrue();
    assertThat(tokenizer.isAdded(5)).isFalse();
    assertThat(tokenizer.tokenBytes(129_279)).isEmpty();
    assertThat(tokenizer.tokenBytes(-1)).isEmpty();
    assertThat(tokenizer.decode(19923, 129_279, 14)).isEqualTo("Hello,");
    assertThat(tokenizer).hasToString("Tokenizer[size=128815, added=818]");
  }

  @Test
  void threadsThatShareATokenizerGetTheSameIds() throws Exception {
    RandomText texts = new RandomText(5, List.of("<｜User｜>"));
    List<String> all = Stream.generate(texts::next).limit(4000).toList();
    Tokenizer tokenizer = Tokenizer.parse(Tokenizers.sampleJson());
    List<int[]> expected = all.stream().map(Tokenizers.sample()::encodeText).toList();
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<Boolean>> results = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        results.add(
            threads.submit(() ->
                IntStream.range(0, all.size())
                    .allMatch(
                        i -> Arrays.equals(tokenizer.encodeText(all.get(i)), expected.get(i)))));
      }
      for (Future<Boolean> result : results) {
        assertThat(result.get()).isTrue();
      }
    }
  }
}
