package dev.fathom.examples.cli;

import dev.fathom.Bytes;
import dev.fathom.examples.console.Terminal;
import dev.fathom.quantization.QuantizationListener;
import dev.fathom.quantization.QuantizationProgress;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Shows how quantizing goes: one line that is redrawn on a terminal, else a line every ten seconds.
 */
final class QuantizeProgressLine implements QuantizationListener {

  private static final long REDRAW_NANOS = 100_000_000L;
  private static final long LINE_NANOS = 10_000_000_000L;

  private final PrintStream err;
  private final boolean redraw;
  private long next;
  private int shownLen;
  private QuantizationProgress.@Nullable Phase shown;

  QuantizeProgressLine(Terminal terminal) {
    this.err = terminal.err();
    this.redraw = terminal.errIsTerminal();
    this.next = System.nanoTime() + (redraw ? 0 : LINE_NANOS);
  }

  @Override
  public void onProgress(QuantizationProgress progress) {
    long now = System.nanoTime();
    boolean newPhase = redraw && progress.phase() != shown;
    if (progress.phase() == QuantizationProgress.Phase.DONE || (now < next && !newPhase)) {
      return;
    }
    next = now + (redraw ? REDRAW_NANOS : LINE_NANOS);
    shown = progress.phase();
    String line = line(progress);
    if (redraw) {
      err.print('\r' + line + " ".repeat(Math.max(0, shownLen - line.length())));
      shownLen = line.length();
    } else {
      err.println(line);
    }
    err.flush();
  }

  /** Clears the line. */
  void finish() {
    if (redraw && shownLen > 0) {
      err.print('\r' + " ".repeat(shownLen) + '\r');
      err.flush();
    }
  }

  private static String line(QuantizationProgress progress) {
    String phase =
        switch (progress.phase()) {
          case CALIBRATE -> "calibrating";
          case SEARCH -> "searching scales";
          case WRITE, DONE -> "quantizing";
        };
    if (progress.total() == 0) {
      return phase + " ...";
    }
    String amount =
        switch (progress.phase()) {
          case CALIBRATE -> " of " + progress.total() + " tokens";
          case SEARCH -> " of " + progress.total() + " groups of linears";
          case WRITE, DONE -> " of " + Bytes.of(progress.total());
        };
    Duration eta = progress.eta();
    return String.format(
        Locale.ROOT,
        "%s: %.0f %%%s%s",
        phase,
        100 * progress.fraction(),
        amount,
        eta == null ? "" : ", " + eta.toSeconds() + " s left");
  }
}
