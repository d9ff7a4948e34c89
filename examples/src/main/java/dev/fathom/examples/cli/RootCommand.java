package dev.fathom.examples.cli;

import picocli.CommandLine;
import picocli.CommandLine.Option;

/** The program without a command: help and version. */
@CommandLine.Command(
    name = "fathom",
    version = "fathom 0.1.0-SNAPSHOT",
    synopsisSubcommandLabel = "COMMAND",
    description = "Runs DeepSeek models inside the JVM.",
    footer = {
      "",
      "Without --model, commands use the small sample model that comes with the sources.",
      "Exit codes: 0 done, 1 failed, 2 wrong option, argument or input file.",
      "",
      "  fathom chat \"What is 27 + 48?\"",
      "  fathom help COMMAND"
    })
final class RootCommand {

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  boolean help;

  @Option(
      names = {"-V", "--version"},
      versionHelp = true,
      description = "Show the version.")
  boolean version;
}
