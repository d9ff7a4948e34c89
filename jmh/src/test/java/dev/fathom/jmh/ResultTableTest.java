package dev.fathom.jmh;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class ResultTableTest {

  private static final Limits LIMITS = new Limits(50, 400);

  @Test
  void theShareIsOfTheLimitThatIsNearer() {
    assertThat(LIMITS.share(40, 100)).isCloseTo(0.8, within(1e-12));
    assertThat(LIMITS.isMemory(40, 100)).isTrue();
    assertThat(LIMITS.share(10, 300)).isCloseTo(0.75, within(1e-12));
    assertThat(LIMITS.isMemory(10, 300)).isFalse();
    assertThat(LIMITS.share(0, 0)).isNaN();
  }

  @Test
  void limitsBeforeAndAfterAreAveraged() {
    assertThat(LIMITS.mean(new Limits(30, 200))).isEqualTo(new Limits(40, 300));
  }

  @Test
  void aRowShowsMeanDeviationBestAndWorstFork() {
    Row row = Row.of(LinearBenchmark.class, "model=V3 format=INT8 tokens=8 threads=2").getFirst();
    ResultTable table = new ResultTable();
    table.add(new Measured(row, new double[] {10, 12, 14}, 40, 0, 160), LIMITS);
    assertThat(cells(table, 2))
        .containsExactly(
            "Linear",
            "V3",
            "INT8",
            "8",
            "2",
            "12.0 ± 2.00",
            "10.0",
            "14.0",
            "40.0",
            "160",
            "0.80 m");
  }

  @Test
  void whatStaysInTheCacheHasNoShare() {
    Row row = Row.of(HostSamplerBenchmark.class, "choice=TOP_P").getFirst();
    ResultTable table = new ResultTable();
    table.add(new Measured(row, new double[] {0.5}, 0, 2, 0), LIMITS);
    assertThat(cells(table, 2))
        .containsExactly(
            "HostSampler",
            "V2_LITE TOP_P",
            "F32",
            "1",
            "1",
            "0.5000",
            "0.5000",
            "0.5000",
            "2.00 (c)",
            "",
            "");
  }

  @Test
  void aSentenceSaysWhatIsMeasuredBeforeTheTableIsThere() {
    Row linear = Row.of(LinearBenchmark.class, "model=V3 format=INT8 tokens=8").getFirst();
    Row sampler = Row.of(HostSamplerBenchmark.class, "choice=TOP_P").getFirst();

    assertThat(ResultTable.sentence(new Measured(linear, new double[] {10, 12, 14}, 40, 0, 160)))
        .isEqualTo("12.0 ± 2.00 ms, best fork 10.0, worst 14.0; 40.0 GB/s, 160 GFLOP/s");
    assertThat(ResultTable.sentence(new Measured(sampler, new double[] {0.5}, 0, 2, 0)))
        .isEqualTo("0.5000 ms, best fork 0.5000, worst 0.5000; 2.00 GB/s in the cache");
  }

  @Test
  void linesAreEquallyLong() {
    ResultTable table = new ResultTable();
    Row row = Row.of(LatentAttentionBenchmark.class, "kv=FP8_E4M3").getFirst();
    table.add(new Measured(row, new double[] {1, 2}, 1, 0, 1), LIMITS);
    assertThat(table.toString().lines().mapToInt(String::length).distinct().count()).isEqualTo(1);
    assertThat(cells(table, 2)).contains("KV FP8_E4M3", "V2_LITE context 256");
  }

  private static String[] cells(ResultTable table, int line) {
    String text = table.toString().lines().skip(line).findFirst().orElseThrow();
    return text.substring(1, text.length() - 1).strip().split("\\s*\\|\\s*", -1);
  }
}
