package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.json.JsonObject;
import org.junit.jupiter.api.Test;

class BenchCommandTest {

  @Test
  void jsonHasSpeedsAndSharesOfBothLimits() {
    JsonObject json =
        Cli.run("bench", "--prompt", "16", "--generate", "4", "--runs", "1", "--json").json();

    double speed = number(json, "generated_tokens_per_second");
    double bytes = number(json, "weight_bytes_of_a_token");
    double gigabytes = number(json, "weight_gigabytes_per_second");
    double best = number(json, "read_limit");
    double mean = number(json, "read_limit_mean");
    assertThat(best)
        .isGreaterThanOrEqualTo(number(json, "read_limit_before"))
        .isGreaterThanOrEqualTo(number(json, "read_limit_after"));
    assertThat(mean).isPositive().isLessThanOrEqualTo(best);
    assertThat(number(json, "share_of_mean_limit")).isEqualTo(gigabytes / mean);
    assertThat(number(json, "prompt_tokens_per_second")).isPositive();
    assertThat(gigabytes).isEqualTo(speed * bytes / 1e9);
    assertThat(number(json, "share_of_read_limit")).isEqualTo(gigabytes / best);
    assertThat(number(json, "read_limit_median")).isPositive().isLessThanOrEqualTo(best);
    assertThat(number(json, "share_of_median_limit"))
        .isEqualTo(gigabytes / number(json, "read_limit_median"));
  }

  @Test
  void sequencesShareSteps() {
    JsonObject json =
        Cli.run(
                "bench",
                "--prompt",
                "16",
                "--generate",
                "8",
                "--runs",
                "1",
                "--sequences",
                "3",
                "--json")
            .json();

    double steps = number(json, "generated_tokens_per_second") / 3;
    double gigabytes = number(json, "weight_gigabytes_per_second");
    assertThat(number(json, "sequences")).isEqualTo(3);
    assertThat(number(json, "prompt_tokens_per_second")).isPositive();
    assertThat(gigabytes).isEqualTo(steps * number(json, "weight_bytes_of_a_token") / 1e9);
  }

  @Test
  void numbersBelowTheLeastAndAMissingFolderAreNamed() {
    assertThat(Cli.run("bench", "--generate", "1").err())
        .contains("must be >= 2: --generate=1", "give a larger number");
    assertThat(Cli.run("bench", "--runs", "0").err()).contains("must be >= 1: --runs=0");
    assertThat(Cli.run("bench", "/nowhere").err()).contains("/nowhere");
  }

  private static double number(JsonObject json, String name) {
    return Double.parseDouble(Cli.text(json.get(name)));
  }
}
