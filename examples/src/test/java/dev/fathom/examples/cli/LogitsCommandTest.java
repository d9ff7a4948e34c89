package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.checkpoint.SafetensorsFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LogitsCommandTest {

  private static final String IDS = "0,4082,304,302,223,951,270,223,1412,33,4083,4094";

  @TempDir Path folder;

  @Test
  void theMostProbableNextTokensAreShown() {
    Cli run = Cli.run("logits", "--ids", IDS);

    assertThat(run.exitCode()).isZero();
    assertThat(run.out().lines().findFirst()).hasValue("  id    logit  log-prob  piece");
    assertThat(run.out()).contains("\"2\"").hasLineCount(6);
  }

  @Test
  void allLogitsAreWrittenWhateverTheChunk() throws IOException {
    Path whole = folder.resolve("whole.safetensors");
    Path chunked = folder.resolve("chunked.safetensors");

    Cli run = Cli.run("logits", "--ids", IDS, "--out", whole.toString(), "--json");
    assertThat(Cli.text(run.json().get("vocab_size"))).isEqualTo("4096");
    assertThat(Cli.run("logits", "--ids", IDS, "--chunk", "5", "--out", chunked.toString()).out())
        .endsWith("wrote [12, 4096] to " + chunked + "\n");

    assertThat(Files.mismatch(whole, chunked)).isEqualTo(-1);
    assertThat(SafetensorsFile.open(whole).tensors())
        .singleElement()
        .hasToString("logits F32[12, 4096]");
  }

  @Test
  void idsMayComeFromAFile() throws IOException {
    Path file = Files.writeString(folder.resolve("ids.txt"), "[" + IDS + "]\n");

    assertThat(Cli.run("logits", "--ids-file", file.toString()).out())
        .isEqualTo(Cli.run("logits", "--ids", IDS).out());
  }

  @ParameterizedTest
  @ValueSource(strings = {"1,two", "", "-1", "5000", "1.5"})
  void wrongIdsAreRefused(String ids) {
    Cli run = Cli.run("logits", "--ids", ids);

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).contains("error: ", "  fix: ");
  }

  @Test
  void otherWrongOptionsAreRefused() {
    assertThat(Cli.run("logits").err()).contains("there are no token ids");
    assertThat(Cli.run("logits", "--ids", "1", "--ids-file", "x").err()).contains("exclude");
    assertThat(Cli.run("logits", "--ids-file", "no-such-file").err()).contains("no-such-file");
    assertThat(Cli.run("logits", "--ids", "1", "--chunk", "0").exitCode()).isEqualTo(2);
    assertThat(Cli.run("logits", "--ids", "1", "--out", "no/such/folder/f").err())
        .contains("its folder does not exist");
    assertThat(Cli.run("logits", "--ids", "1", "--out", folder.toString()).err())
        .contains("it is a folder");
  }
}
