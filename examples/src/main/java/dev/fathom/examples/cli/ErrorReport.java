package dev.fathom.examples.cli;

import dev.fathom.error.BackendException;
import dev.fathom.error.CheckpointException;
import dev.fathom.error.EngineOverloadedException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.FathomException;
import dev.fathom.error.GenerationException;
import dev.fathom.error.InsufficientMemoryException;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.TextException;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonWriter;
import java.io.PrintWriter;
import java.io.StringWriter;

/**
 * Tells a person what went wrong in three lines, and a script by a number.
 *
 * @param exitCode how the process ends
 * @param code the library's stable code, empty for errors of the command line itself
 * @param what what is wrong
 * @param why the reason
 * @param fix what to do about it
 */
record ErrorReport(ExitCode exitCode, String code, String what, String why, String fix) {

  /** Returns the report of an exception of any kind. */
  static ErrorReport of(Throwable error) {
    return switch (error) {
      case Failure f -> new ErrorReport(f.exitCode(), "", f.what(), f.why(), f.fix());
      case FathomException f -> ofLibrary(f);
      case OutOfMemoryError e ->
          new ErrorReport(
              ExitCode.FAILURE,
              ErrorCode.MEMORY_INSUFFICIENT.id(),
              "The JVM ran out of memory",
              String.valueOf(e.getMessage()),
              "give it more (FATHOM_JAVA_OPTS=-Xmx8g ./fathom ...), or a smaller model or context");
      default ->
          new ErrorReport(
              ExitCode.FAILURE,
              "",
              "This is a defect of Fathom",
              String.valueOf(error),
              "run the command again with --verbose and report what it prints");
    };
  }

  /** What is said about files stays as it is: their keys have names of options, too. */
  private static ErrorReport ofLibrary(FathomException f) {
    boolean aboutFile = f instanceof CheckpointException || f instanceof ModelConfigException;
    return new ErrorReport(
        exitCode(f),
        f.code().id(),
        aboutFile ? f.what() : OptionNames.translate(f.what()),
        aboutFile ? f.why() : OptionNames.translate(f.why()),
        aboutFile ? f.fix() : OptionNames.translate(f.fix()));
  }

  private static ExitCode exitCode(FathomException error) {
    return switch (error) {
      case CheckpointException e -> inputFile(e);
      case ModelConfigException e -> ExitCode.USAGE;
      case TextException e -> ExitCode.USAGE;
      case InvalidRequestException e -> ExitCode.USAGE;
      case BackendException e ->
          e.code() == ErrorCode.BACKEND_UNKNOWN ? ExitCode.USAGE : ExitCode.FAILURE;
      case InsufficientMemoryException e -> ExitCode.FAILURE;
      case EngineOverloadedException e -> ExitCode.FAILURE;
      case GenerationException e -> ExitCode.FAILURE;
    };
  }

  private static ExitCode inputFile(CheckpointException e) {
    boolean diskFailed = e.code() == ErrorCode.WRITE_FAILED || e.code() == ErrorCode.WRITE_NO_SPACE;
    return diskFailed ? ExitCode.FAILURE : ExitCode.USAGE;
  }

  /** Writes the report: three lines of text, and with {@code json} also the one document. */
  void print(Terminal terminal, boolean json) {
    if (json) {
      terminal.out().println(JsonWriter.python(json()));
    }
    StringBuilder text = new StringBuilder("error: ").append(what);
    if (!code.isEmpty()) {
      text.append(" (").append(code).append(')');
    }
    text.append("\n  why: ").append(why).append("\n  fix: ").append(fix);
    terminal.err().println(text);
    terminal.flush();
  }

  /** Writes where the error came from. */
  static void printStack(Terminal terminal, Throwable error) {
    StringWriter stack = new StringWriter();
    error.printStackTrace(new PrintWriter(stack));
    terminal.err().print(stack);
    terminal.flush();
  }

  private JsonObject json() {
    JsonObject error =
        JsonObject.builder()
            .put("code", code)
            .put("what", what)
            .put("why", why)
            .put("fix", fix)
            .put("exit_code", exitCode.number())
            .build();
    return JsonObject.builder().put("error", error).build();
  }
}
