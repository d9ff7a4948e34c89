package dev.fathom.examples.cli;

import dev.fathom.DeepSeekModel;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.examples.bench.Bench;
import dev.fathom.examples.bench.ReadLimit;
import dev.fathom.examples.bench.ReadMeter;
import dev.fathom.examples.bench.Traffic;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Numbers;
import dev.fathom.examples.console.Table;
import dev.fathom.examples.console.Table.Align;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Measures prompt and generation speed. */
@CommandLine.Command(
    name = "bench",
    sortOptions = false,
    description = {
      "Measure how fast a model runs, and how near that is to what memory allows.",
      "",
      "Prompts are random tokens. The read limit of the machine is measured before and after each"
          + " run, by as many threads, in 16 passes; GB/s counts the weights that a generated token"
          + " reads.",
      ""
    })
final class BenchCommand implements Command {

  private static final double GIGA = 1e9;

  @Parameters(arity = "0..1", paramLabel = "MODEL", description = "Folder, instead of --model.")
  @Nullable String folder;

  @Option(
      names = "--prompt",
      paramLabel = "N",
      defaultValue = "256",
      description = "Tokens of the prompt; default: 256.")
  int prompt = 256;

  @Option(
      names = "--generate",
      paramLabel = "N",
      defaultValue = "24",
      description = "Tokens of the answer, at least 2; default: 24.")
  int generate = 24;

  @Option(
      names = "--runs",
      paramLabel = "N",
      defaultValue = "3",
      description =
          "Runs that count, after runs and up to 1,200 tokens or 45 seconds of generation which let"
              + " the JVM compile what a step calls; default: 3.")
  int runs = 3;

  @Mixin ModelOptions model = new ModelOptions();
  @Mixin OutputOptions output = new OutputOptions();

  private final Terminal terminal;

  BenchCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public ExitCode run() {
    check("--prompt", prompt, 1);
    check("--generate", generate, 2);
    check("--runs", runs, 1);
    if (folder != null) {
      model.model = folder;
    }
    if (model.contextTokens == 0) {
      model.contextTokens = prompt + generate + 1;
    }
    Checkpoint checkpoint = Checkpoint.open(model.path());
    Traffic traffic = Traffic.of(checkpoint, model.loadOptions().weights());
    int vocabSize = checkpoint.config().intAt("vocab_size", 1, Integer.MAX_VALUE);
    int threads = model.threads == 0 ? Runtime.getRuntime().availableProcessors() : model.threads;
    List<ReadLimit> limits = new ArrayList<>();
    try (DeepSeekModel loaded = model.load(terminal);
        ReadMeter meter = new ReadMeter(threads)) {
      Bench.Result result =
          new Bench(prompt, generate, model.maxSequences)
              .run(loaded, vocabSize, runs, () -> limits.add(meter.measure()));
      Report report = new Report(loaded, result, traffic, limits);
      if (output.json) {
        terminal.out().println(JsonWriter.python(report.json()));
      } else {
        terminal.out().print(report.speeds());
        terminal.out().println();
        terminal.out().print(report.roofline());
      }
    }
    return ExitCode.OK;
  }

  private static void check(String option, int value, int least) {
    if (value < least) {
      throw Failure.usage(
          "Wrong usage of fathom bench",
          "must be >= " + least + ": " + option + "=" + value,
          "give a larger number");
    }
  }

  /** One measurement as tables and as a document. */
  private final class Report {
    private final DeepSeekModel loaded;
    private final Bench.Result result;
    private final Traffic traffic;
    private final ReadLimit before;
    private final ReadLimit after;
    private final ReadLimit limit;
    private final double gigabytes;

    Report(DeepSeekModel loaded, Bench.Result result, Traffic traffic, List<ReadLimit> limits) {
      this.loaded = loaded;
      this.result = result;
      this.traffic = traffic;
      this.before = limits.getFirst();
      this.after = limits.getLast();
      this.limit = ReadLimit.of(limits);
      // Sequences of a step share the weights that they read.
      double steps = Bench.Result.mean(result.generation()) / model.maxSequences;
      this.gigabytes = steps * traffic.bytesOfToken() / GIGA;
    }

    Table speeds() {
      Table table = new Table(Align.LEFT, Align.RIGHT, Align.LEFT);
      table.row("measure", "value", "");
      table.row("prompt", mean(result.prompt()), "tok/s +- " + deviation(result.prompt()));
      table.row(
          "generation", mean(result.generation()), "tok/s +- " + deviation(result.generation()));
      table.row("prompt work", Numbers.fixed(promptGigaflops(), 1), "GFLOP/s");
      table.row("weights of a token", megabytes(traffic.bytesOfToken()), "MB");
      table.row("weights read", Numbers.fixed(gigabytes, 1), "GB/s");
      table.row("read limit", Numbers.fixed(limit.best(), 1), "GB/s, best pass");
      table.row("", Numbers.fixed(limit.median(), 1), "GB/s, median pass");
      table.row("", Numbers.fixed(limit.mean(), 1), "GB/s, all passes; " + firstAndLast());
      table.row("share", Numbers.fixed(gigabytes / limit.best(), 2), "of the best pass");
      table.row("", Numbers.fixed(gigabytes / limit.median(), 2), "of the median pass");
      table.row("", Numbers.fixed(gigabytes / limit.mean(), 2), "of all passes");
      table.row("backend", "", loaded.diagnostics().backendDescription());
      return table;
    }

    private String firstAndLast() {
      return Numbers.fixed(before.mean(), 1)
          + " first, "
          + Numbers.fixed(after.mean(), 1)
          + " last";
    }

    /** Work of prompt tokens; the head counts once a prompt and is left out. */
    private double promptGigaflops() {
      Traffic.Row head = traffic.rows().getOrDefault("logits", new Traffic.Row(0, 0, 0));
      double flops = (double) traffic.flopsOfToken() - head.flops();
      return Bench.Result.mean(result.prompt()) * flops / GIGA;
    }

    Table roofline() {
      Table table =
          new Table(Align.LEFT, Align.RIGHT, Align.RIGHT, Align.RIGHT, Align.RIGHT, Align.RIGHT);
      table.row("a token's", "count", "MB", "MFLOP", "FLOP/byte", "ms at the limit");
      for (Map.Entry<String, Traffic.Row> entry : traffic.rows().entrySet()) {
        Traffic.Row row = entry.getValue();
        table.row(
            entry.getKey(),
            Integer.toString(row.count()),
            megabytes(row.bytes()),
            megabytes(row.flops()),
            Numbers.fixed((double) row.flops() / row.bytes(), 1),
            Numbers.fixed(row.bytes() / limit.best() / 1e6, 2));
      }
      table.row(
          "all",
          "",
          megabytes(traffic.bytesOfToken()),
          megabytes(traffic.flopsOfToken()),
          Numbers.fixed((double) traffic.flopsOfToken() / traffic.bytesOfToken(), 1),
          Numbers.fixed(traffic.bytesOfToken() / limit.best() / 1e6, 2));
      return table;
    }

    JsonObject json() {
      JsonObject.Builder operations = JsonObject.builder();
      traffic
          .rows()
          .forEach((kind, row) ->
              operations.put(
                  kind,
                  JsonObject.builder()
                      .put("count", row.count())
                      .put("bytes", row.bytes())
                      .put("flops", row.flops())
                      .put("ms_at_limit", row.bytes() / limit.best() / 1e6)
                      .build()));
      return JsonObject.builder()
          .put("backend", loaded.diagnostics().backendDescription())
          .put("prompt_tokens", prompt)
          .put("generated_tokens", generate)
          .put("sequences", model.maxSequences)
          .put("runs", runs)
          .put("prompt_tokens_per_second", Bench.Result.mean(result.prompt()))
          .put("prompt_deviation", Bench.Result.deviation(result.prompt()))
          .put("generated_tokens_per_second", Bench.Result.mean(result.generation()))
          .put("generated_deviation", Bench.Result.deviation(result.generation()))
          .put("weight_bytes_of_a_token", traffic.bytesOfToken())
          .put("weight_gigabytes_per_second", gigabytes)
          .put("read_limit_before", before.best())
          .put("read_limit_after", after.best())
          .put("read_limit", limit.best())
          .put("read_limit_median", limit.median())
          .put("read_limit_mean", limit.mean())
          .put("share_of_read_limit", gigabytes / limit.best())
          .put("share_of_median_limit", gigabytes / limit.median())
          .put("share_of_mean_limit", gigabytes / limit.mean())
          .put("operations", operations.build())
          .build();
    }
  }

  private static String mean(List<Double> values) {
    return Numbers.fixed(Bench.Result.mean(values), 1);
  }

  private static String deviation(List<Double> values) {
    return Numbers.fixed(Bench.Result.deviation(values), 1);
  }

  private static String megabytes(long bytes) {
    return Numbers.fixed(bytes / 1e6, 1);
  }
}
