package dev.fathom.examples.console;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Where a command reads and writes: the seam between the commands and the process. All text is
 * UTF-8 whatever the locale, because the tokens of a model are.
 *
 * @param in standard input
 * @param out results
 * @param err everything else: errors, progress, statistics of piped answers
 * @param inIsTerminal whether a person types the input
 * @param outIsTerminal whether a person reads the results as they come
 * @param errIsTerminal whether a progress bar can be redrawn
 * @param color whether escape sequences may be written to {@code out}
 */
public record Terminal(
    InputStream in,
    PrintStream out,
    PrintStream err,
    boolean inIsTerminal,
    boolean outIsTerminal,
    boolean errIsTerminal,
    boolean color) {

  private static final Path OPEN_FILES = Path.of("/proc/self/fd");
  private static final int BUFFER_BYTES = 8192;

  /** Returns the terminal of this process. */
  public static Terminal system() {
    boolean out = isTerminal(1);
    return new Terminal(
        System.in,
        utf8(new FileOutputStream(FileDescriptor.out)),
        utf8(new FileOutputStream(FileDescriptor.err)),
        isTerminal(0),
        out,
        isTerminal(2),
        out && colorWanted(System.getenv()));
  }

  /** Returns one without a person: an empty input, and no escape sequences in its outputs. */
  public static Terminal piped(PrintStream out, PrintStream err) {
    return piped(InputStream.nullInputStream(), out, err);
  }

  /** Returns one without a person. */
  public static Terminal piped(InputStream in, PrintStream out, PrintStream err) {
    return new Terminal(in, out, err, false, false, false, false);
  }

  /** Returns why standard output takes nothing more, as far as that is known. */
  public String whyOutFailed() {
    return out instanceof TextStream text ? text.failure() : "its stream is broken";
  }

  /** Returns a stream that writes UTF-8 and is flushed by whoever completes a piece of output. */
  static PrintStream utf8(OutputStream stream) {
    return TextStream.over(stream, BUFFER_BYTES);
  }

  /** Returns whether escape sequences are welcome: NO_COLOR is empty and TERM is not "dumb". */
  static boolean colorWanted(Map<String, String> environment) {
    String noColor = environment.getOrDefault("NO_COLOR", "");
    return noColor.isEmpty() && !"dumb".equals(environment.get("TERM"));
  }

  /** Returns this terminal with another input. */
  public Terminal withIn(InputStream other) {
    return new Terminal(other, out, err, inIsTerminal, outIsTerminal, errIsTerminal, color);
  }

  /** Writes both outputs out. */
  public void flush() {
    out.flush();
    err.flush();
  }

  /** Returns the text dimmed, or as it is where escape sequences are not welcome. */
  public String dim(String text) {
    return color ? "\u001b[2m" + text + "\u001b[0m" : text;
  }

  /** Returns the text in bold, or as it is where escape sequences are not welcome. */
  public String bold(String text) {
    return color ? "\u001b[1m" + text + "\u001b[0m" : text;
  }

  /**
   * Linux names the file behind a descriptor; elsewhere the console answers for input and output
   * together.
   */
  private static boolean isTerminal(int descriptor) {
    if (Files.isDirectory(OPEN_FILES)) {
      String target = target(OPEN_FILES.resolve(Integer.toString(descriptor)));
      return target != null && (target.startsWith("/dev/pts/") || target.startsWith("/dev/tty"));
    }
    return System.console() != null && System.console().isTerminal();
  }

  private static @Nullable String target(Path link) {
    try {
      return Files.readSymbolicLink(link).toString();
    } catch (IOException closedDescriptor) {
      return null;
    }
  }
}
