package dev.fathom.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.text.OutputParserTest.Family;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Answers that are damaged at random, and answers cut into bytes and tokens.
 *
 * <p>Text to be accounted for is written in Chinese characters, which occur in no mark: whatever is
 * done to an answer, they must come out in the same order, each as often as it went in.
 */
class OutputParserFuzzTest {
  private static final int MUTANTS = 1500;

  private static final List<String> FRAMED =
      List.of(
          "想</think>答{calls}{call}名{sep}{`键`: `值`}{/call}{call}二{sep}{}{/call}{/calls}尾",
          "<think>想{n}</think>{n}{n}答{calls}{call}function{sep}名{n}{fence}json{n}{`键`: [`值`]}{n}"
              + "{fence}{/call}{n}{call}function{sep}二{n}{fence}json{n}{}{n}{fence}{/call}{/calls}尾",
          "答{calls}{call}名{sep}{`a`: `里{/call}面`}{/call}{/calls}{calls}{call}二{sep}{}{/call}{/calls}");

  private static final List<String> MARKED_UP =
      List.of(
          "想</think>答{n}{n}<{D}BLOCK>{n}<{D}invoke name=`名`>{n}<{D}parameter name=`键` string=`true`>"
              + "值 `引`</{D}parameter>{n}<{D}parameter name=`二` string=`false`>[`三`, 1]</{D}parameter>{n}"
              + "</{D}invoke>{n}<{D}invoke name=`四`>{n}{n}</{D}invoke>{n}</{D}BLOCK>尾",
          "答{n}{n}<{D}BLOCK>{n}<{D}invoke name=`名`>{n}<{D}parameter name=`键` string=`true`></think>"
              + "里<think>{n}{n}面</{D}parameter>{n}</{D}invoke>{n}</{D}BLOCK>{n}{n}<{D}BLOCK>{n}"
              + "<{D}invoke name=`二`>{n}{n}</{D}invoke>{n}</{D}BLOCK>");

  private static List<String> answers(Family family) {
    boolean markedUp =
        family.encoder.equals("deepseek-v4") || family.encoder.equals("deepseek-v3.2");
    String block = family.encoder.equals("deepseek-v4") ? "tool_calls" : "function_calls";
    return (markedUp ? MARKED_UP : FRAMED)
        .stream().map(s -> OutputParserTest.spelledOut(s.replace("BLOCK", block))).toList();
  }

  @ParameterizedTest
  @EnumSource
  void damagedAnswersLoseNoTextAndDoNotDependOnCuts(Family family) {
    Random random = new Random(3);
    List<String> answers = answers(family);
    int withCalls = 0;
    for (int i = 0; i < MUTANTS; i++) {
      String mutant = answers.get(i % answers.size());
      for (int n = random.nextInt(5); n >= 0; n--) {
        mutant = damaged(mutant, answers, random);
      }
      String whole = OutputParserTest.parse(family::newParser, List.of(mutant));
      assertThat(chinese(whole)).as("%s -> %s", mutant, whole).isEqualTo(chinese(mutant));
      assertThat(OutputParserTest.parse(family::newParser, OutputParserTest.cut(mutant, random)))
          .as("%s", mutant)
          .isEqualTo(whole);
      assertThat(OutputParserTest.parse(family::newParser, List.of(mutant.split(""))))
          .as("%s", mutant)
          .isEqualTo(whole);
      withCalls += whole.contains("#0(") ? 1 : 0;
    }
    if (family != Family.V2) {
      assertThat(withCalls).as("mutants that still call").isBetween(MUTANTS / 20, MUTANTS);
    }
  }

  /**
   * Takes a part out, doubles it, moves it, swaps two letters or puts part of another answer in.
   */
  private static String damaged(String text, List<String> answers, Random random) {
    if (text.isEmpty()) {
      return answers.getFirst();
    }
    int from = random.nextInt(text.length());
    int to = Math.min(text.length(), from + 1 + random.nextInt(random.nextBoolean() ? 2 : 30));
    int at = random.nextInt(text.length() + 1);
    String part = text.substring(from, to);
    String rest = text.substring(0, from) + text.substring(to);
    return switch (random.nextInt(6)) {
      case 0 -> rest;
      case 1 -> text.substring(0, to) + part + text.substring(to);
      case 2 -> {
        int place = Math.min(at, rest.length());
        yield rest.substring(0, place) + part + rest.substring(place);
      }
      case 3 -> text.substring(0, from) + (char) (' ' + random.nextInt(90)) + text.substring(to);
      case 4 -> {
        String other = answers.get(random.nextInt(answers.size()));
        yield text.substring(0, at) + other.substring(random.nextInt(other.length()));
      }
      default -> text.substring(0, at);
    };
  }

  private static String chinese(String text) {
    StringBuilder out = new StringBuilder();
    text.chars().filter(c -> c >= 0x4E00 && c < 0xA000).forEach(c -> out.append((char) c));
    return out.toString();
  }

  @ParameterizedTest
  @EnumSource
  void everyCutInThreePartsGivesTheSameEvents(Family family) {
    for (String answer : answers(family)) {
      String whole = OutputParserTest.parse(family::newParser, List.of(answer));
      // A quarter of the places of the second cut, another quarter for each first one.
      for (int a = 0; a <= answer.length(); a++) {
        for (int b = a + a % 4; b <= answer.length(); b += 4) {
          List<String> parts =
              List.of(answer.substring(0, a), answer.substring(a, b), answer.substring(b));
          String got = OutputParserTest.parse(family::newParser, parts);
          if (!got.equals(whole)) {
            assertThat(got).as("%s", parts).isEqualTo(whole);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void bytesAndTokensOfAnyKindGiveTheSameEvents(Family family) {
    Tokenizer tokenizer = Tokenizers.of(family.encoder);
    int[] byteIds = byteIds(tokenizer);
    for (String answer : answers(family)) {
      String text = answer + "🚀ß";
      String whole = OutputParserTest.parse(family::newParser, List.of(text));
      byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
      int[] bytes = new int[utf8.length];
      for (int i = 0; i < utf8.length; i++) {
        bytes[i] = byteIds[utf8[i] & 0xFF];
      }
      assertThat(parseIds(family, bytes)).isEqualTo(whole);
      assertThat(parseIds(family, tokenizer.encodeText(text))).isEqualTo(whole);
      assertThat(parseIds(family, tokenizer.encodeWithSpecials(text))).isEqualTo(whole);
    }
  }

  private static int[] byteIds(Tokenizer tokenizer) {
    int[] ids = new int[256];
    for (int id = 0; id < 1000; id++) {
      byte[] bytes = tokenizer.isAdded(id) ? new byte[0] : tokenizer.tokenBytes(id);
      if (bytes.length == 1) {
        ids[bytes[0] & 0xFF] = id;
      }
    }
    return ids;
  }

  private static String parseIds(Family family, int[] ids) {
    OutputParser parser = family.newParser();
    List<OutputEvent> events = new ArrayList<>();
    for (int id : ids) {
      events.addAll(parser.acceptToken(id));
    }
    events.addAll(parser.finish());
    return OutputParserTest.text(events);
  }
}
