package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.error.BackendException;
import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.error.InsufficientMemoryException;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.examples.console.ExitCode;
import java.util.ArrayList;
import java.util.List;
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

  @Test
  void theLibrarysNamesOfOptionsBecomeThoseOfTheCommandLine() {
    assertThat(OptionNames.translate("must be in [2, 4096]: contextTokens=9"))
        .isEqualTo("must be in [2, 4096]: --context=9");
    assertThat(OptionNames.translate("kvCache(BF16).maxSequences(1).contextTokens(64) -> fits"))
        .isEqualTo("--kv-cache BF16 --sequences 1 --context 64 -> fits");
    assertThat(OptionNames.translate("memoryBudget(Bytes.mib(12)) | topP"))
        .isEqualTo("--memory 12MiB | --top-p");
    assertThat(OptionNames.translate("mycontextTokens maxTokensX --temperature"))
        .isEqualTo("mycontextTokens maxTokensX --temperature");
  }

  /** Each remedy that the refusal of a load names must work when it is typed. */
  @Test
  void theRemediesOfTooLittleMemoryCanBeTyped() {
    String[] tooMuch = {"chat", "-n", "1", "--sequences", "4", "--memory", "30MiB", "hi"};
    Cli refused = Cli.run(tooMuch);

    assertThat(refused.exitCode()).isEqualTo(1);
    assertThat(refused.err()).contains("FATHOM-4500", "--context ", "--memory ", "--sequences 1");
    int tried = 0;
    String fixes = refused.err().substring(refused.err().indexOf("fix: ") + 5).strip();
    for (String remedy : fixes.split(" \\| ", -1)) {
      if (!remedy.endsWith("(fits)")) {
        continue;
      }
      List<String> args = new ArrayList<>(List.of("chat", "-n", "1", "hi"));
      List<String> change = List.of(remedy.substring(0, remedy.indexOf(" -> ")).split(" ", -1));
      addUnless(args, change, "--sequences", "4");
      addUnless(args, change, "--memory", "30MiB");
      args.addAll(change);
      assertThat(Cli.run(args.toArray(String[]::new)).exitCode()).as(remedy).isZero();
      tried++;
    }
    assertThat(tried).isPositive();
  }

  private static void addUnless(
      List<String> args, List<String> change, String option, String value) {
    if (!change.contains(option)) {
      args.addAll(List.of(option, value));
    }
  }
}
