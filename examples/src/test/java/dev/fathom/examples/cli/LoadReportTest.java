package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.LoadPhase;
import dev.fathom.LoadProgress;
import dev.fathom.examples.console.Terminal;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class LoadReportTest {

  private static final long TOTAL = 100L << 27;

  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  private LoadReport report(boolean terminal) {
    PrintStream print = new PrintStream(err, true, StandardCharsets.UTF_8);
    return new LoadReport(
        new Terminal(InputStream.nullInputStream(), print, print, false, false, terminal, false));
  }

  private static LoadProgress read(int percent, long millis) {
    return new LoadProgress(
        LoadPhase.READ,
        TOTAL / 100 * percent,
        TOTAL,
        Duration.ofMillis(millis),
        Duration.ofSeconds(3));
  }

  private static LoadProgress ready(long millis) {
    return new LoadProgress(LoadPhase.READY, TOTAL, TOTAL, Duration.ofMillis(millis), null);
  }

  private String shown() {
    return err.toString(StandardCharsets.UTF_8);
  }

  @Test
  void aFastLoadIsSilent() {
    LoadReport report = report(false);
    report.onProgress(read(50, 400));
    report.onProgress(ready(900));
    report.finish();

    assertThat(shown()).isEmpty();
  }

  @Test
  void aSlowLoadWritesPlainLinesWhereNobodyWatches() {
    LoadReport report = report(false);
    for (int percent = 0; percent <= 100; percent++) {
      report.onProgress(read(percent, percent * 200L));
    }
    report.onProgress(ready(20_500));
    report.finish();

    assertThat(shown())
        .startsWith("loading: 5 % of 12.5 GiB\nloading: 10 % of 12.5 GiB\n")
        .endsWith("loading: 100 % of 12.5 GiB\nloaded in 20.5 s\n")
        .doesNotContain("\r")
        .hasLineCount(12);
  }

  @Test
  void noMoreThanOneLineASecondIsWritten() {
    LoadReport report = report(false);
    for (int percent = 0; percent <= 100; percent++) {
      report.onProgress(read(percent, 1000 + percent * 10L));
    }
    report.onProgress(ready(2100));
    report.finish();

    assertThat(shown())
        .isEqualTo("loading: 0 % of 12.5 GiB\nloading: 100 % of 12.5 GiB\nloaded in 2.1 s\n");
  }

  @Test
  void aPersonSeesABarThatIsGoneAtTheEnd() {
    LoadReport report = report(true);
    report.onProgress(read(50, 2000));
    assertThat(shown())
        .isEqualTo("\rloading [###############...............] 50 % of 12.5 GiB, 3.0 s left");
    report.onProgress(ready(4000));
    report.finish();

    assertThat(shown()).endsWith(" \r").doesNotContain("\n");
  }
}
