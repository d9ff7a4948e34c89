package dev.fathom.examples.cli;

import dev.fathom.DeepSeekModel;
import dev.fathom.examples.console.BundledSample;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Numbers;
import dev.fathom.examples.console.Table;
import dev.fathom.examples.console.Table.Align;
import dev.fathom.examples.console.Terminal;
import dev.fathom.examples.eval.EvalSet;
import dev.fathom.examples.eval.Score;
import dev.fathom.examples.eval.Scorer;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Scores a model on the tasks that come with the sample. */
@CommandLine.Command(
    name = "eval",
    sortOptions = false,
    description = {
      "Score the model: exact matches of its answers, and its perplexity on texts.",
      "",
      "Prompts may hold control tokens, so take tasks only from files that you trust.",
      ""
    })
final class EvalCommand implements Command {

  @Option(
      names = "--tasks",
      split = ",",
      paramLabel = "NAME",
      description = "Some of arith, tool, extract, text, text:KIND; default: all.")
  @Nullable List<String> tasks;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "Take the first N items of each task only.")
  @Nullable Integer limit;

  @Option(
      names = "--tasks-file",
      paramLabel = "PATH",
      description = "The tasks; default: eval.json of the bundled sample.")
  @Nullable Path tasksFile;

  @Mixin ModelOptions model = new ModelOptions();
  @Mixin OutputOptions output = new OutputOptions();

  private final Terminal terminal;

  EvalCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public ExitCode run() {
    if (limit != null && limit < 1) {
      throw Failure.usage(
          "Wrong usage of fathom eval", "must be >= 1: --limit=" + limit, "give a larger number");
    }
    EvalSet all = EvalSet.read(tasksFile == null ? BundledSample.evalTasks() : tasksFile);
    List<String> wanted = tasks == null ? all.names() : tasks;
    EvalSet set = all.only(wanted, limit == null ? Integer.MAX_VALUE : limit);
    try (DeepSeekModel loaded = model.load(terminal)) {
      List<Score> scores = run(set, new Scorer(loaded, model.adapterName()));
      if (output.json) {
        terminal.out().println(JsonWriter.python(json(loaded, scores)));
      } else {
        terminal.out().print(table(scores));
      }
    }
    return ExitCode.OK;
  }

  private List<Score> run(EvalSet set, Scorer scorer) {
    List<Score> scores = new ArrayList<>();
    set.exercises()
        .forEach((task, exercises) -> {
          announce(task, exercises.size());
          scores.add(scorer.exactMatch(task, exercises));
        });
    set.texts()
        .forEach((task, texts) -> {
          announce(task, texts.size());
          scores.add(scorer.perplexity(task, texts));
        });
    announce("", 0);
    return scores;
  }

  /** A person at the terminal sees what is being done; the last call clears the line. */
  private void announce(String task, int items) {
    if (terminal.errIsTerminal()) {
      String line = task.isEmpty() ? "" : "running " + task + " (" + items + " items)";
      terminal.err().print("\r" + line + " ".repeat(Math.max(0, 50 - line.length())) + "\r");
      terminal.err().flush();
    }
  }

  private static Table table(List<Score> scores) {
    Table table =
        new Table(Align.LEFT, Align.LEFT, Align.RIGHT, Align.RIGHT, Align.LEFT, Align.RIGHT);
    table.row("task", "metric", "value", "over", "", "seconds");
    for (Score score : scores) {
      table.row(
          score.task(),
          score.metric().title(),
          Numbers.fixed(score.value(), 3),
          Long.toString(score.count()),
          score.metric().unit(),
          seconds(score));
    }
    return table;
  }

  private static String seconds(Score score) {
    return Numbers.fixed((double) score.took().toMillis() / 1000, 1);
  }

  private static JsonObject json(DeepSeekModel model, List<Score> scores) {
    JsonObject.Builder tasks = JsonObject.builder();
    for (Score score : scores) {
      tasks.put(
          score.task(),
          JsonObject.builder()
              .put("metric", score.metric().name().toLowerCase(Locale.ROOT))
              .put("value", score.value())
              .put("count", score.count())
              .put("seconds", (double) score.took().toMillis() / 1000)
              .build());
    }
    return JsonObject.builder()
        .put("backend", model.diagnostics().backend())
        .put("tasks", tasks.build())
        .build();
  }
}
