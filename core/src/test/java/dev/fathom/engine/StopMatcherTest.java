package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class StopMatcherTest {

  private static String run(List<String> stops, String... pieces) {
    StopMatcher matcher = new StopMatcher(stops);
    StringBuilder out = new StringBuilder();
    for (String piece : pieces) {
      out.append(matcher.accept(piece));
    }
    return out + matcher.flush() + "|" + matcher.matched();
  }

  @Test
  void textBeforeAStopComesOutAndNothingOfItOrAfterIt() {
    assertThat(run(List.of("END"), "abc", "E", "N", "D", "xyz")).isEqualTo("abc|END");
    assertThat(run(List.of("END"), "abENDcd")).isEqualTo("ab|END");
    assertThat(run(List.of("END"), "END")).isEqualTo("|END");
  }

  @Test
  void aStartThatTurnsOutToBeNothingComesOut() {
    assertThat(run(List.of("END"), "xE", "Ny", "EN")).isEqualTo("xENyEN|null");
    assertThat(run(List.of("aab"), "aaab")).isEqualTo("a|aab");
    assertThat(run(List.of("\n\n"), "a\n", "b\n", "\n")).isEqualTo("a\nb|\n\n");
  }

  @Test
  void theStopThatIsCompleteFirstWinsAndTheLongestOfThose() {
    assertThat(run(List.of("abc", "b"), "xabc")).isEqualTo("xa|b");
    assertThat(run(List.of("c", "abc"), "xabc")).isEqualTo("x|abc");
  }

  @Test
  void aStartOfAStopIsHeldBackUntilItIsDecided() {
    StopMatcher matcher = new StopMatcher(List.of("stop", "opal"));
    assertThat(matcher.accept("a st")).isEqualTo("a ");
    assertThat(matcher.accept("o")).isEmpty();
    assertThat(matcher.accept("x")).isEqualTo("stox");
    assertThat(matcher.accept("sto")).isEmpty();
    assertThat(matcher.accept("pa")).isEmpty();
    assertThat(matcher.matched()).isEqualTo("stop");
  }

  @Test
  void whereTextIsCutDoesNotMatter() {
    Random random = new Random(9);
    for (int round = 0; round < 3000; round++) {
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < 12; i++) {
        text.append((char) ('a' + random.nextInt(2)));
      }
      List<String> stops = List.of(word(random), word(random));
      String whole = run(stops, text.toString().split(""));
      int cut = random.nextInt(13);
      assertThat(run(stops, text.substring(0, cut), text.substring(cut)))
          .as("%s %s %d", text, stops, cut)
          .isEqualTo(whole);
    }
  }

  private static String word(Random random) {
    StringBuilder word = new StringBuilder();
    for (int i = 1 + random.nextInt(4); i > 0; i--) {
      word.append((char) ('a' + random.nextInt(2)));
    }
    return word.toString();
  }
}
