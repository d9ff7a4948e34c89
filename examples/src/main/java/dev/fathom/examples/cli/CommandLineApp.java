package dev.fathom.examples.cli;

import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Terminal;
import dev.fathom.examples.log.QuietLogging;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * Finds the command that the arguments name, runs it, and turns whatever goes wrong into a report
 * and an exit code.
 *
 * <p>Only the named command is described to picocli, as its reading of annotations costs start-up
 * time; help and misspelt names describe all of them.
 */
public final class CommandLineApp {

  private static final List<String> NAMES =
      List.of(
          "chat",
          "generate",
          "tokenize",
          "inspect",
          "eval",
          "logits",
          "synth",
          "bench",
          "quantize",
          "embed");

  private final Terminal terminal;
  private final String[] args;
  private final boolean json;
  private final boolean verbose;

  private CommandLineApp(Terminal terminal, String[] args) {
    this.terminal = terminal;
    this.args = helpAsOption(args);
    this.json = hasFlag(args, "--json");
    this.verbose = hasFlag(args, "--verbose");
  }

  /**
   * Runs the program.
   *
   * @param args as given on the command line
   * @return the exit code: 0 done, 1 failed, 2 wrong option, argument or input file
   */
  public static int run(String[] args, Terminal terminal) {
    return new CommandLineApp(terminal, args).run().number();
  }

  /** Reads "help COMMAND" as "COMMAND --help". */
  private static String[] helpAsOption(String[] args) {
    if (args.length == 0 || !args[0].equals("help")) {
      return args;
    }
    if (args.length == 1) {
      return new String[] {"--help"};
    }
    return NAMES.contains(args[1]) ? new String[] {args[1], "--help"} : new String[] {args[1]};
  }

  private static boolean hasFlag(String[] args, String flag) {
    for (String arg : args) {
      if (arg.equals("--")) {
        return false;
      }
      if (arg.equals(flag)) {
        return true;
      }
    }
    return false;
  }

  private ExitCode run() {
    ExitCode exitCode = runAndReport();
    return exitCode == ExitCode.OK && terminal.out().checkError() ? lostOutput() : exitCode;
  }

  /** A full disk must not look like success; a reader that went away asked for the silence. */
  private ExitCode lostOutput() {
    String why = terminal.whyOutFailed();
    if (!why.contains("Broken pipe")) {
      ErrorReport report =
          new ErrorReport(
              ExitCode.FAILURE,
              "",
              "The output could not be written",
              why,
              "check where standard output goes and that the disk has room");
      report.print(terminal, false);
    }
    return ExitCode.FAILURE;
  }

  private ExitCode runAndReport() {
    try {
      return parseAndRun();
    } catch (ParameterException e) {
      return report(wrongUsage(e), e);
    } catch (Exception | OutOfMemoryError | LinkageError | StackOverflowError e) {
      return report(ErrorReport.of(e), e);
    } finally {
      if (verbose) {
        QuietLogging.quiet();
      }
      terminal.flush();
    }
  }

  private ExitCode report(ErrorReport report, Throwable error) {
    report.print(terminal, json);
    if (verbose) {
      ErrorReport.printStack(terminal, error);
    }
    return report.exitCode();
  }

  private ExitCode parseAndRun() {
    if (verbose) {
      QuietLogging.verbose();
    }
    CommandLine commandLine = commandLine();
    if (args.length == 0) {
      commandLine.usage(terminal.err(), ansi());
      return ExitCode.USAGE;
    }
    ParseResult parsed = commandLine.parseArgs(args);
    while (parsed.hasSubcommand()) {
      parsed = parsed.subcommand();
    }
    CommandLine found = parsed.commandSpec().commandLine();
    if (found.isUsageHelpRequested()) {
      found.usage(terminal.out(), ansi());
      return ExitCode.OK;
    }
    if (found.isVersionHelpRequested()) {
      found.printVersionHelp(terminal.out(), ansi());
      return ExitCode.OK;
    }
    if (found.getCommand() instanceof Command command) {
      return command.run();
    }
    throw new ParameterException(found, "A command is missing");
  }

  private CommandLine commandLine() {
    CommandLine commandLine = new CommandLine(new RootCommand());
    @Nullable Command named = args.length == 0 ? null : create(args[0]);
    if (named != null) {
      commandLine.addSubcommand(args[0], named);
    } else {
      NAMES.forEach(name -> commandLine.addSubcommand(name, create(name)));
    }
    return commandLine;
  }

  private @Nullable Command create(String name) {
    return switch (name) {
      case "chat" -> new ChatCommand(terminal);
      case "generate" -> new GenerateCommand(terminal);
      case "tokenize" -> new TokenizeCommand(terminal);
      case "inspect" -> new InspectCommand(terminal);
      case "eval" -> new EvalCommand(terminal);
      case "embed" -> new EmbedCommand(terminal);
      case "logits" -> new LogitsCommand(terminal);
      case "synth" -> new SynthCommand(terminal);
      case "bench" -> new BenchCommand(terminal);
      case "quantize" -> new QuantizeCommand(terminal);
      default -> null;
    };
  }

  private ErrorReport wrongUsage(ParameterException e) {
    CommandLine at = e.getCommandLine();
    String name = at.getCommandSpec().qualifiedName();
    String fix = "see " + name + " --help";
    if (e instanceof UnmatchedArgumentException unmatched) {
      List<String> suggestions = unmatched.getSuggestions();
      if (!suggestions.isEmpty()) {
        fix = "perhaps you meant " + String.join(" or ", suggestions) + "; " + fix;
      } else if (at.getParent() == null) {
        fix = "use one of the commands " + String.join(", ", NAMES) + "; " + fix;
      }
    }
    return new ErrorReport(ExitCode.USAGE, "", "Wrong usage of " + name, firstLine(e), fix);
  }

  private static String firstLine(ParameterException e) {
    String message = String.valueOf(e.getMessage());
    int end = message.indexOf('\n');
    return end < 0 ? message : message.substring(0, end);
  }

  private Ansi ansi() {
    return terminal.color() ? Ansi.ON : Ansi.OFF;
  }
}
