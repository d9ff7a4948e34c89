package dev.fathom.jmh;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatFactory;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.format.OutputFormat;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** Measures the rows that the command line names and prints them as one table. */
public final class BenchmarkRun {

  private static final int OK = 0;
  private static final int SOME_FAILED = 1;
  private static final int WRONG_OPTION = 2;

  private final RunOptions options;
  private final OutputFormat log;
  private final List<RunResult> results = new ArrayList<>();
  private final List<Map<Integer, Limits>> limits = new ArrayList<>();
  private final List<String> failed = new ArrayList<>();

  /** A result and the limits that were measured last before it. */
  private record Finished(Measured result, int limitsBefore) {}

  private BenchmarkRun(RunOptions options, OutputFormat log) {
    this.options = options;
    this.log = log;
  }

  /** Runs and exits: 0 if all rows were measured, 1 if some failed, 2 for wrong options. */
  public static void main(String[] args) throws IOException, RunnerException {
    int status;
    if (Stream.of(args).anyMatch(arg -> arg.equals("--help") || arg.equals("-h"))) {
      System.out.print(RunOptions.USAGE);
      status = OK;
    } else {
      status = run(args);
    }
    System.exit(status);
  }

  private static int run(String... args) throws IOException, RunnerException {
    RunOptions options;
    List<Row> rows;
    try {
      options = RunOptions.parse(args);
      rows = options.rows();
    } catch (IllegalArgumentException e) {
      System.err.println("jmh/run.sh: " + e.getMessage() + "\n\n" + RunOptions.USAGE);
      return WRONG_OPTION;
    }
    if (options.listOnly()) {
      rows.forEach(row -> System.out.println(row.label()));
      return OK;
    }
    Files.createDirectories(options.results());
    Path logFile = options.results().resolve("jmh.log");
    try (PrintStream out = new PrintStream(logFile.toFile(), StandardCharsets.UTF_8)) {
      OutputFormat log = OutputFormatFactory.createFormatInstance(out, VerboseMode.NORMAL);
      return new BenchmarkRun(options, log).measure(rows);
    }
  }

  private int measure(List<Row> rows) throws IOException, RunnerException {
    List<Finished> finished = new ArrayList<>();
    Class<?> measuring = null;
    for (int i = 0; i < rows.size(); i++) {
      Row row = rows.get(i);
      if (i == 0 || (row.benchmark() != measuring && options.suite() != Suite.SMOKE)) {
        measuring = row.benchmark();
        measureLimits(rows);
      }
      System.err.printf(Locale.ROOT, "[%d/%d] %s%n", i + 1, rows.size(), row.label());
      List<RunResult> measured = run(row, options.forks());
      if (measured.isEmpty()) {
        failed.add(row.label());
      } else {
        Measured result = Measured.of(row, measured.getFirst());
        finished.add(new Finished(result, limits.size() - 1));
        System.err.println("  " + ResultTable.sentence(result));
      }
      // A run that is cut off leaves what it has measured.
      writeJson();
    }
    measureLimits(rows);
    print(finished);
    System.err.println("results: " + resultsFile());
    failed.forEach(label -> System.err.println("failed, see jmh.log: " + label));
    return failed.isEmpty() ? OK : SOME_FAILED;
  }

  /** Measures the limits for each number of threads that a row has a choice of. */
  private void measureLimits(List<Row> rows) throws RunnerException {
    Map<Integer, Limits> byThreads = new LinkedHashMap<>();
    for (int threads :
        new TreeSet<>(rows.stream().filter(Row::hasThreads).map(Row::threads).toList())) {
      double gigabytes = limit(ReadLimitBenchmark.class, threads, "bytes");
      double gigaflops = limit(FmaPeakBenchmark.class, threads, "flops");
      byThreads.put(threads, new Limits(gigabytes, gigaflops));
      System.err.printf(
          Locale.ROOT,
          "limits, threads=%d: %.1f GB/s, %.0f GFLOP/s%n",
          threads,
          gigabytes,
          gigaflops);
    }
    limits.add(byThreads);
  }

  private double limit(Class<?> benchmark, int threads, String counter) throws RunnerException {
    Row row = Row.of(benchmark, "threads=" + threads).getFirst();
    List<RunResult> measured = run(row, 1);
    if (measured.isEmpty()) {
      failed.add(row.label());
      return Double.NaN;
    }
    return Measured.best(measured.getFirst(), counter);
  }

  private List<RunResult> run(Row row, int forks) throws RunnerException {
    ChainedOptionsBuilder builder =
        new OptionsBuilder()
            .include("^" + row.benchmark().getName().replace(".", "\\.") + "\\.step$")
            .forks(forks)
            .jvmArgsAppend("-Dslf4j.internal.verbosity=ERROR")
            .shouldFailOnError(false);
    row.params().forEach((name, value) -> builder.param(name, value));
    if (options.suite() == Suite.SMOKE) {
      builder
          .warmupIterations(1)
          .warmupTime(TimeValue.milliseconds(500))
          .measurementIterations(2)
          .measurementTime(TimeValue.milliseconds(300));
    }
    List<RunResult> measured = List.copyOf(new Runner(builder.build(), log).run());
    results.addAll(measured);
    return measured;
  }

  private void print(List<Finished> finished) {
    System.out.println(head());
    ResultTable table = new ResultTable();
    for (Finished one : finished) {
      int threads = one.result().row().threads();
      Limits before = limits.get(one.limitsBefore()).getOrDefault(threads, NO_LIMITS);
      Limits after = limits.get(one.limitsBefore() + 1).getOrDefault(threads, NO_LIMITS);
      table.add(one.result(), before.mean(after));
    }
    System.out.println(table);
    System.out.print(ResultTable.LEGEND);
  }

  private static final Limits NO_LIMITS = new Limits(Double.NaN, Double.NaN);

  private String head() {
    StringBuilder head = new StringBuilder(Machine.description());
    String now =
        DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm", Locale.ROOT)
            .format(ZonedDateTime.now(ZoneOffset.UTC));
    head.append("; ").append(now).append(" UTC; forks: ").append(options.forks()).append('\n');
    for (int threads : limits.getFirst().keySet()) {
      List<Limits> all = limits.stream().map(l -> l.getOrDefault(threads, NO_LIMITS)).toList();
      head.append("Limits, threads ").append(threads).append(": memory ");
      head.append(range(all.stream().map(Limits::gigabytes).toList())).append(" GB/s, float32 ");
      head.append(range(all.stream().map(Limits::gigaflops).toList())).append(" GFLOP/s\n");
    }
    return head.toString();
  }

  private static String range(List<Double> values) {
    TreeSet<Double> sorted = new TreeSet<>(values);
    return ResultTable.number(sorted.getFirst()) + " to " + ResultTable.number(sorted.getLast());
  }

  private void writeJson() throws IOException {
    try (PrintStream out = new PrintStream(resultsFile().toFile(), StandardCharsets.UTF_8)) {
      ResultFormatFactory.getInstance(ResultFormatType.JSON, out).writeOut(results);
    }
  }

  private Path resultsFile() {
    return options.results().resolve("results.json");
  }
}
