package dev.fathom.examples.cli;

import dev.fathom.Bytes;
import dev.fathom.DeepSeekModel;
import dev.fathom.MemoryPlan;
import dev.fathom.arch.Architectures;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Table;
import dev.fathom.examples.console.Table.Align;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonWriter;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramPrinter;
import java.util.Map;
import java.util.TreeMap;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Shows what a checkpoint is and what it needs, without reading its weights. */
@CommandLine.Command(
    name = "inspect",
    sortOptions = false,
    description = {
      "Show a checkpoint's configuration, tensors, program and memory; reads headers only.",
      ""
    })
final class InspectCommand implements Command {

  @Option(names = "--tensors", description = "List every tensor.")
  boolean tensors;

  @Option(names = "--program", description = "Print the program, one operation a line.")
  boolean program;

  @Mixin ModelOptions model = new ModelOptions();
  @Mixin OutputOptions output = new OutputOptions();

  private final Terminal terminal;

  InspectCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public ExitCode run() {
    Checkpoint checkpoint = Checkpoint.open(model.path());
    Program compiled =
        Architectures.forConfig(checkpoint.config())
            .program(checkpoint.config(), new CheckpointWeights(checkpoint));
    MemoryPlan memory = DeepSeekModel.plan(model.path(), model.loadOptions());
    if (output.json) {
      JsonObject document =
          new InspectDocument(checkpoint, compiled, memory).json(tensors, program);
      terminal.out().println(JsonWriter.python(document));
    } else {
      printText(checkpoint, compiled, memory);
    }
    return ExitCode.OK;
  }

  private void printText(Checkpoint checkpoint, Program compiled, MemoryPlan memory) {
    section("config.json");
    terminal.out().print(config(checkpoint));
    section("tensors");
    terminal.out().print(tensors ? everyTensor(checkpoint) : tensorsByType(checkpoint));
    section("program " + compiled.name());
    terminal.out().print(program ? ProgramPrinter.print(compiled) : operations(compiled));
    section("memory");
    terminal.out().println(OptionNames.translate(memory.toString()));
  }

  private void section(String title) {
    terminal.out().println(terminal.bold(title));
  }

  private static Table config(Checkpoint checkpoint) {
    Table table = new Table(Align.LEFT, Align.LEFT);
    InspectDocument.config(checkpoint)
        .fields()
        .forEach((key, value) -> table.row("  " + key, JsonWriter.python(value)));
    return table;
  }

  private static Table tensorsByType(Checkpoint checkpoint) {
    Map<String, long[]> byType = new TreeMap<>();
    checkpoint
        .tensors()
        .values()
        .forEach(tensor -> {
          long[] sum = byType.computeIfAbsent(tensor.dtype().name(), t -> new long[2]);
          sum[0]++;
          sum[1] += tensor.byteLength();
        });
    Table table = new Table(Align.LEFT, Align.RIGHT, Align.RIGHT);
    byType.forEach(
        (type, sum) -> table.row("  " + type, Long.toString(sum[0]), Bytes.of(sum[1]).toString()));
    table.row(
        "  in " + checkpoint.files().size() + (checkpoint.files().size() == 1 ? " file" : " files"),
        Integer.toString(checkpoint.tensors().size()),
        Bytes.of(checkpoint.weightBytes()).toString());
    return table;
  }

  private static Table everyTensor(Checkpoint checkpoint) {
    Table table = new Table(Align.LEFT, Align.LEFT, Align.LEFT, Align.RIGHT, Align.LEFT);
    checkpoint
        .tensors()
        .values()
        .forEach(tensor ->
            table.row(
                "  " + AnswerPrinter.harmless(tensor.name()),
                tensor.dtype().name(),
                InspectDocument.shape(tensor).toString(),
                Long.toString(tensor.byteLength()),
                String.valueOf(tensor.file().getFileName())));
    return table;
  }

  private static Table operations(Program compiled) {
    Table table = new Table(Align.LEFT, Align.RIGHT);
    InspectDocument.operations(compiled)
        .forEach((kind, count) -> table.row("  " + kind, Integer.toString(count)));
    table.row("  operations", Integer.toString(compiled.ops().size()));
    return table;
  }
}
