package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.error.BackendException;
import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.error.InsufficientMemoryException;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.examples.console.ExitCode;
import org.junit.jupiter.api.Test;

class ErrorReportTest {

  private static ExitCode exitCode(Throwable error) {
    return ErrorReport.of(error).exitCode();
  }

  @Test
  void wrongInputEndsWithTwo() {
    assertThat(exitCode(new CheckpointException(ErrorCode.CHECKPOINT_NOT_FOUND, "a", "b", "c")))
        .isEqualTo(ExitCode.USAGE);
    assertThat(exitCode(new InvalidRequestException(ErrorCode.REQUEST_INVALID, "a", "b", "c")))
        .isEqualTo(ExitCode.USAGE);
    assertThat(exitCode(new BackendException(ErrorCode.BACKEND_UNKNOWN, "a", "b", "c")))
        .isEqualTo(ExitCode.USAGE);
  }

  @Test
  void whatShouldHaveWorkedEndsWithOne() {
    assertThat(exitCode(new CheckpointException(ErrorCode.WRITE_NO_SPACE, "a", "b", "c")))
        .isEqualTo(ExitCode.FAILURE);
    assertThat(exitCode(new BackendException(ErrorCode.BACKEND_UNAVAILABLE, "a", "b", "c")))
        .isEqualTo(ExitCode.FAILURE);
    assertThat(
            exitCode(new InsufficientMemoryException(ErrorCode.MEMORY_INSUFFICIENT, "a", "b", "c")))
        .isEqualTo(ExitCode.FAILURE);
    assertThat(exitCode(new GenerationException(ErrorCode.GENERATION_FAILED, "a", "b", "c")))
        .isEqualTo(ExitCode.FAILURE);
  }

  @Test
  void aDefectIsCalledOne() {
    ErrorReport report = ErrorReport.of(new IllegalStateException("oops"));

    assertThat(report.exitCode()).isEqualTo(ExitCode.FAILURE);
    assertThat(report.why()).contains("oops");
    assertThat(report.fix()).contains("--verbose");
  }

  @Test
  void aFullHeapIsAnsweredWithMemory() {
    assertThat(ErrorReport.of(new OutOfMemoryError("Java heap space")).fix()).contains("-Xmx");
  }
}
