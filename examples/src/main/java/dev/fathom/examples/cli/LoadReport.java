package dev.fathom.examples.cli;

import dev.fathom.Bytes;
import dev.fathom.LoadListener;
import dev.fathom.LoadPhase;
import dev.fathom.LoadProgress;
import dev.fathom.examples.console.Numbers;
import dev.fathom.examples.console.Terminal;
import java.io.PrintStream;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * Shows how loading goes: a bar that is redrawn on a terminal, else a plain line every tenth,
 * though not more than one a second. Says nothing about loads that are over within a second.
 */
final class LoadReport implements LoadListener {

  private static final Duration QUIET = Duration.ofSeconds(1);
  private static final int BAR_LEN = 30;
  private static final int TENTHS = 10;

  private final PrintStream err;
  private final boolean redraw;
  private Duration nextLine = QUIET;
  private int shownTenths = -1;
  private int shownLen;
  private @Nullable Duration total;

  LoadReport(Terminal terminal) {
    this.err = terminal.err();
    this.redraw = terminal.errIsTerminal();
  }

  @Override
  public void onProgress(LoadProgress progress) {
    if (progress.elapsed().compareTo(QUIET) < 0) {
      return;
    }
    if (progress.phase() == LoadPhase.READY) {
      total = progress.elapsed();
    } else if (redraw) {
      redraw(bar(progress));
    } else {
      line(progress);
    }
  }

  /** Ends the display, whether the model was loaded or not. */
  void finish() {
    if (redraw && shownLen > 0) {
      redraw("");
      err.print('\r');
    } else if (!redraw && shownTenths >= 0 && total != null) {
      err.println("loaded in " + seconds(total));
    }
    err.flush();
  }

  private void redraw(String text) {
    err.print('\r' + text + " ".repeat(Math.max(0, shownLen - text.length())));
    err.flush();
    shownLen = text.length();
  }

  private void line(LoadProgress progress) {
    int tenths = (int) (progress.fraction() * TENTHS);
    if (tenths > shownTenths && progress.elapsed().compareTo(nextLine) >= 0) {
      shownTenths = tenths;
      nextLine = progress.elapsed().plus(QUIET);
      err.println("loading: " + amount(progress));
      err.flush();
    }
  }

  private static String bar(LoadProgress progress) {
    int done = (int) (progress.fraction() * BAR_LEN);
    String bar = "#".repeat(done) + ".".repeat(BAR_LEN - done);
    Duration eta = progress.eta();
    String left = eta == null ? "" : ", " + seconds(eta) + " left";
    return "loading [" + bar + "] " + amount(progress) + left;
  }

  private static String amount(LoadProgress progress) {
    if (progress.phase() != LoadPhase.READ) {
      return progress.phase() == LoadPhase.OPEN ? "reading headers" : "preparing";
    }
    return Math.round(progress.fraction() * 100) + " % of " + Bytes.of(progress.totalBytes());
  }

  private static String seconds(Duration duration) {
    return Numbers.fixed((double) duration.toMillis() / 1000, 1) + " s";
  }
}
