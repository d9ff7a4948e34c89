package dev.fathom.examples.cli;

import picocli.CommandLine.Option;

/** Options that every command has. */
final class OutputOptions {

  @Option(
      names = "--json",
      description = "Print one JSON document and nothing else on standard output.")
  boolean json;

  @Option(names = "--verbose", description = "Show where an error came from, and log more.")
  boolean verbose;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  boolean help;
}
