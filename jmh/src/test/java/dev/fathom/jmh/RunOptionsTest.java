package dev.fathom.jmh;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RunOptionsTest {

  @Test
  void threeForksUnlessItIsASmokeTest() {
    assertThat(RunOptions.parse().forks()).isEqualTo(3);
    assertThat(RunOptions.parse("--all").forks()).isEqualTo(3);
    assertThat(RunOptions.parse("--smoke").forks()).isEqualTo(1);
    assertThat(RunOptions.parse("--smoke", "--forks", "5").forks()).isEqualTo(5);
  }

  @Test
  void aFilterSeesKernelAndParameters() {
    RunOptions options =
        RunOptions.parse("--filter", "^Linear.*format=INT8.*tokens=1 ", "--threads", "1,2");
    assertThat(options.rows()).extracting(Row::kernel).hasSizeGreaterThan(1).containsOnly("Linear");
    assertThat(options.rows()).extracting(Row::threads).contains(1, 2);
  }

  @ParameterizedTest
  @CsvSource({
    "--forks 0, must be 1 <= number <= 9999: forks=0",
    "--threads 1;x, must be 1 <= number <= 9999: threads=1;x",
    "--filter (, must be a regular expression: filter=(",
    "--forks, must be followed by a value: option=--forks",
  })
  void wrongValuesAreNamed(String line, String message) {
    assertThatThrownBy(() -> RunOptions.parse(line.split(" ", -1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  @Test
  void unknownOptionsListTheKnownOnes() {
    assertThatThrownBy(() -> RunOptions.parse("--fork"))
        .hasMessageStartingWith("must be one of --smoke, --all, --forks, --filter")
        .hasMessageEndingWith("option=--fork");
  }

  @Test
  void aFilterThatLeavesNothingIsRefused() {
    RunOptions options = RunOptions.parse("--filter", "NoSuchKernel");
    assertThatThrownBy(options::rows)
        .hasMessage("must be found in a row that --list names: filter=NoSuchKernel");
  }
}
