package dev.fathom;

import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;

/**
 * Prints how loading goes. {@link #on} rewrites one line, for a terminal; {@link #lines} writes one
 * line for each tenth, for logs.
 */
public final class ProgressBar implements LoadListener {

  private static final int WIDTH = 30;
  private static final int STEPS = 10;

  private final PrintStream out;
  private final boolean rewrites;
  private int lastStep = -1;
  private LoadPhase lastPhase = LoadPhase.READY;

  private ProgressBar(PrintStream out, boolean rewrites) {
    this.out = out;
    this.rewrites = rewrites;
  }

  /** Returns a bar that is redrawn in place. */
  public static ProgressBar on(PrintStream terminal) {
    return new ProgressBar(terminal, true);
  }

  /** Returns plain lines: one for each phase and each tenth of the bytes. */
  public static ProgressBar lines(PrintStream log) {
    return new ProgressBar(log, false);
  }

  @Override
  public void onProgress(LoadProgress progress) {
    if (rewrites) {
      out.print("\r" + line(progress) + "   ");
      if (progress.phase() == LoadPhase.READY) {
        out.println();
      }
      out.flush();
      return;
    }
    int step = (int) (progress.fraction() * STEPS);
    if (progress.phase() != lastPhase || step != lastStep) {
      out.println(line(progress));
    }
    lastPhase = progress.phase();
    lastStep = step;
  }

  private static String line(LoadProgress progress) {
    return switch (progress.phase()) {
      case OPEN -> "opening";
      case READ -> reading(progress);
      case COMPILE -> "compiling";
      case READY ->
          String.format(
              Locale.ROOT,
              "ready: %s in %.1f s%s",
              Bytes.of(progress.doneBytes()),
              seconds(progress.elapsed()),
              " ".repeat(WIDTH));
    };
  }

  private static String reading(LoadProgress progress) {
    int full = (int) Math.round(progress.fraction() * WIDTH);
    String eta =
        progress.eta() == null
            ? ""
            : String.format(Locale.ROOT, ", %.0f s left", seconds(progress.eta()));
    return String.format(
        Locale.ROOT,
        "[%s%s] %3.0f %% %s of %s%s",
        "#".repeat(full),
        ".".repeat(WIDTH - full),
        progress.fraction() * 100,
        Bytes.of(progress.doneBytes()),
        Bytes.of(progress.totalBytes()),
        eta);
  }

  private static double seconds(Duration duration) {
    return (double) duration.toMillis() / 1000;
  }
}
