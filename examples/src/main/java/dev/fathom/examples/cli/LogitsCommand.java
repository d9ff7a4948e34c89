package dev.fathom.examples.cli;

import dev.fathom.DeepSeekModel;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.SafetensorsWriter;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.error.Text;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Numbers;
import dev.fathom.examples.console.Table;
import dev.fathom.examples.console.Table.Align;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Computes the logits of a sequence of token ids, for comparison with another implementation. */
@CommandLine.Command(
    name = "logits",
    sortOptions = false,
    description = {
      "Compute the logits after each of the given tokens.",
      "",
      "Prints the five most probable tokens after the last one; --out writes all logits.",
      ""
    })
final class LogitsCommand implements Command {

  private static final int TOP = 5;

  @Option(names = "--ids", paramLabel = "IDS", description = "Token ids such as 0,17,5.")
  @Nullable String ids;

  @Option(names = "--ids-file", paramLabel = "PATH", description = "A file of token ids.")
  @Nullable Path idsFile;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      description = "Write float32 logits [T, V] under the key logits to a safetensors file.")
  @Nullable Path out;

  @Mixin ModelOptions model = new ModelOptions();
  @Mixin OutputOptions output = new OutputOptions();

  private final Terminal terminal;

  LogitsCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public ExitCode run() {
    int[] tokens = tokens();
    checkOut();
    try (DeepSeekModel loaded = model.load(terminal)) {
      LastRow last = new LastRow(tokens.length, TOP);
      if (out == null) {
        loaded.logits(tokens, loaded.diagnostics().maxLogitsChunk(), model.adapterName(), last);
      } else {
        write(out, loaded, tokens, last);
      }
      print(loaded, tokens, last);
    }
    return ExitCode.OK;
  }

  private int[] tokens() {
    if (ids != null && idsFile != null) {
      throw Failure.usage(
          "Wrong usage of fathom logits",
          "--ids and --ids-file exclude each other",
          "give one of them");
    }
    if (ids != null) {
      return IdList.parse("--ids", ids);
    }
    if (idsFile != null) {
      return IdList.read(idsFile);
    }
    throw Failure.usage(
        "Wrong usage of fathom logits", "there are no token ids", "add --ids 0,17,5");
  }

  private void checkOut() {
    Path folder = out == null ? null : out.toAbsolutePath().getParent();
    if (out != null && (Files.isDirectory(out) || folder == null || !Files.isDirectory(folder))) {
      throw Failure.usage(
          "The logits cannot be written to " + Text.quote(out.toString()),
          Files.isDirectory(out) ? "it is a folder" : "its folder does not exist",
          "give a file in an existing folder");
    }
  }

  private void write(Path file, DeepSeekModel loaded, int[] tokens, LastRow last) {
    int[] width = new int[1];
    loaded.logits(new int[] {tokens[0]}, 1, (position, row, offset, vocab) -> width[0] = vocab);
    TensorSpec spec = TensorSpec.of("logits", SafetensorsDtype.F32, tokens.length, width[0]);
    SafetensorsWriter.write(
        file,
        List.of(spec),
        Map.of(),
        (tensor, sink) -> {
          byte[] bytes = new byte[width[0] * Float.BYTES];
          FloatBuffer floats =
              ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
          MemorySegment segment = MemorySegment.ofArray(bytes);
          loaded.logits(
              tokens,
              loaded.diagnostics().maxLogitsChunk(),
              model.adapterName(),
              (position, row, offset, vocab) -> {
                floats.put(0, row, offset, vocab);
                sink.write(segment);
                last.accept(position, row, offset, vocab);
              });
        });
  }

  private void print(DeepSeekModel loaded, int[] tokens, LastRow last) {
    if (output.json) {
      terminal.out().println(JsonWriter.python(json(loaded, tokens, last)));
      return;
    }
    Table table = new Table(Align.RIGHT, Align.RIGHT, Align.RIGHT, Align.LEFT);
    table.row("id", "logit", "log-prob", "piece");
    for (LastRow.Entry entry : last.top()) {
      table.row(
          Integer.toString(entry.id()),
          Numbers.fixed(entry.logit(), 4),
          Numbers.fixed(entry.logprob(), 4),
          Text.quote(loaded.tokenizer().decode(entry.id())));
    }
    terminal.out().print(table);
    if (out != null) {
      terminal.out().println("wrote [" + tokens.length + ", " + last.vocabSize() + "] to " + out);
    }
  }

  private JsonObject json(DeepSeekModel loaded, int[] tokens, LastRow last) {
    List<JsonValue> top = new ArrayList<>();
    for (LastRow.Entry entry : last.top()) {
      top.add(
          JsonObject.builder()
              .put("id", entry.id())
              .put("piece", loaded.tokenizer().decode(entry.id()))
              .put("logit", entry.logit())
              .put("logprob", entry.logprob())
              .build());
    }
    return JsonObject.builder()
        .put("tokens", tokens.length)
        .put("vocab_size", last.vocabSize())
        .put("top", new JsonArray(top))
        .put("out", out == null ? null : out.toString())
        .build();
  }
}
