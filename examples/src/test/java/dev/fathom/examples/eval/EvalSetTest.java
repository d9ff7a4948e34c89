package dev.fathom.examples.eval;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class EvalSetTest {

  private static final EvalSet SET = EvalSet.read(Path.of("models", "sample", "eval.json"));

  @Test
  void theSampleHasExercisesAndTexts() {
    assertThat(SET.names())
        .containsExactly(
            "arith",
            "tool",
            "extract",
            "text:wordnet",
            "text:facts",
            "text:debian",
            "text:java",
            "text:arith",
            "text:tools");
    assertThat(SET.exercises().get("arith")).hasSize(200);
  }

  @Test
  void promptsFollowTheProtocol() {
    Exercise sum = SET.exercises().get("arith").getFirst();
    assertThat(sum.prompt())
        .isEqualTo("<｜begin▁of▁sentence｜><｜User｜>What is 1780 + 3864?<｜Assistant｜><think>");
    assertThat(sum.isRight("...</think>1780 + 3864 = 5644")).isTrue();
    assertThat(sum.isRight("1780 + 3864 = 5644, I think")).isFalse();
    assertThat(sum.isRight("1780 + 3864 = 15644")).isFalse();

    Exercise tool = SET.exercises().get("tool").getFirst();
    assertThat(tool.prompt()).startsWith("<｜begin▁of▁sentence｜>## Tools\n").endsWith("</think>");
    assertThat(tool.expected())
        .isEqualTo("send_email<｜tool▁sep｜>{\"to\": \"John\", \"subject\": \"third\"}");

    Exercise extract = SET.exercises().get("extract").getFirst();
    assertThat(extract.prompt()).contains("<｜User｜>Extract name, age and city as JSON: Ava, ");
    assertThat(extract.expected())
        .isEqualTo("{\"name\": \"Ava\", \"age\": 48, \"city\": \"Hanoi\"}");
  }

  @Test
  void aSelectionKeepsTheNamedTasksAndTheFirstItems() {
    EvalSet some = SET.only(List.of("tool", "text"), 3);

    assertThat(some.exercises()).containsOnlyKeys("tool");
    assertThat(some.exercises().get("tool")).hasSize(3);
    assertThat(some.texts()).hasSize(6);
    assertThat(some.texts().get("text:java")).hasSize(3);
  }
}
