package dev.fathom.jmh;

import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * What the command line asks for.
 *
 * @param suite which rows
 * @param filter keeps rows in whose label it is found
 * @param forks JVMs for each row
 * @param threads numbers of threads, a row for each
 * @param results folder of the JSON results and the log
 * @param listOnly whether rows are named instead of measured
 */
record RunOptions(
    Suite suite, Pattern filter, int forks, List<Integer> threads, Path results, boolean listOnly) {

  static final String USAGE =
      """
      Usage: jmh/run.sh [--smoke | --all] [--forks N] [--filter REGEX] [--threads LIST]
                        [--results FOLDER] [--list]

      Measures the kernels of the CPU backend and prints one table. The limits of the machine
      (read bandwidth, float32 multiplications) are measured between the kernels.

        --smoke           A few rows, one short fork each: about a minute.
        --all             All combinations of all parameters: hours.
        --forks N         JVMs for each row; default: 3, with --smoke 1.
        --filter REGEX    Only rows such as "Linear model=V3 format=INT8 tokens=1 threads=2" in
                          which it is found.
        --threads LIST    Such as 1,2; default: one a processor.
        --results FOLDER  Where results.json and jmh.log go; default: jmh/target.
        --list            Name the rows and measure nothing.
        --help            Show this.
      """;

  /** Reading the command line. */
  private static final class Draft {
    private Suite suite = Suite.QUICK;
    private Pattern filter = Pattern.compile("");
    private int forks;
    private List<Integer> threads = List.of(Runtime.getRuntime().availableProcessors());
    private Path results = Path.of("jmh", "target");
    private boolean listOnly;
  }

  /**
   * Reads the command line.
   *
   * @throws IllegalArgumentException naming what is wrong
   */
  static RunOptions parse(String... args) {
    Draft draft = new Draft();
    Deque<String> rest = new ArrayDeque<>(Arrays.asList(args));
    while (!rest.isEmpty()) {
      read(rest.removeFirst(), rest, draft);
    }
    int forks = draft.forks > 0 ? draft.forks : draft.suite == Suite.SMOKE ? 1 : 3;
    return new RunOptions(
        draft.suite, draft.filter, forks, draft.threads, draft.results, draft.listOnly);
  }

  private static void read(String option, Deque<String> rest, Draft draft) {
    switch (option) {
      case "--smoke" -> draft.suite = Suite.SMOKE;
      case "--all" -> draft.suite = Suite.ALL;
      case "--list" -> draft.listOnly = true;
      case "--forks" -> draft.forks = positive(option, value(option, rest));
      case "--filter" -> draft.filter = pattern(value(option, rest));
      case "--results" -> draft.results = Path.of(value(option, rest));
      case "--threads" ->
          draft.threads =
              Arrays.stream(value(option, rest).split(",", -1))
                  .map(n -> positive(option, n))
                  .toList();
      default ->
          throw new IllegalArgumentException(
              "must be one of --smoke, --all, --forks, --filter, --threads, --results, --list,"
                  + " --help: option="
                  + option);
    }
  }

  private static String value(String option, Deque<String> rest) {
    String value = rest.pollFirst();
    if (value == null) {
      throw new IllegalArgumentException("must be followed by a value: option=" + option);
    }
    return value;
  }

  private static int positive(String option, String value) {
    if (!value.matches("[1-9][0-9]{0,3}")) {
      throw new IllegalArgumentException(
          "must be 1 <= number <= 9999: " + option.substring(2) + "=" + value);
    }
    return Integer.parseInt(value);
  }

  private static Pattern pattern(String regex) {
    try {
      return Pattern.compile(regex);
    } catch (PatternSyntaxException e) {
      throw new IllegalArgumentException("must be a regular expression: filter=" + regex, e);
    }
  }

  /**
   * Returns the rows to measure.
   *
   * @throws IllegalArgumentException if the filter leaves none
   */
  List<Row> rows() {
    List<Row> rows =
        suite.rows().stream()
            .flatMap(row -> row.withThreads(threads).stream())
            .filter(row -> filter.matcher(row.label()).find())
            .toList();
    if (rows.isEmpty()) {
      throw new IllegalArgumentException(
          "must be found in a row that --list names: filter=" + filter);
    }
    return rows;
  }
}
