package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonObject;
import org.junit.jupiter.api.Test;

class EmbedCommandTest {

  @Test
  void eachTextIsOneLineWithItsLikenessToTheFirst() {
    Cli run = Cli.run("embed", "Oslo", "Oslo", "27 + 48");

    assertThat(run.exitCode()).isZero();
    assertThat(run.out()).hasLineCount(3).startsWith("1: ").contains("cosine with 1: 1.0000");
  }

  @Test
  void jsonHasAllNumbersOfEachLineOfStandardInput() {
    Cli run = Cli.runWithInput("Oslo\n\n27 + 48\n", "embed", "--json", "--pooling", "mean");

    JsonArray data = (JsonArray) run.json().get("data");
    assertThat(data.values()).hasSize(2);
    JsonArray first = (JsonArray) ((JsonObject) data.values().getFirst()).get("embedding");
    assertThat(Cli.text(run.json().get("dimensions"))).isEqualTo("" + first.values().size());
  }

  @Test
  void anUnknownPoolingAndAnAdapterThatIsNotThereAreNamed() {
    assertThat(Cli.run("embed", "--pooling", "max", "x").err())
        .contains("must be last or mean: --pooling=\"max\"");
    assertThat(Cli.run("embed", "--adapter", "a=/nowhere", "x").err())
        .contains("there is no adapter_config.json in it");
  }
}
