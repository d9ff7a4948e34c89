package dev.fathom.examples.cli;

import dev.fathom.Bytes;
import dev.fathom.error.Text;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Terminal;
import dev.fathom.examples.synth.ShippedConfig;
import dev.fathom.examples.synth.SynthWeights;
import dev.fathom.examples.synth.SyntheticCheckpoint;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Writes a checkpoint of random weights for a configuration. */
@CommandLine.Command(
    name = "synth",
    sortOptions = false,
    description = {
      "Write a checkpoint of random weights for any supported configuration.",
      "",
      "Weights are streamed to disk one tensor after the other. Layers of multi-token prediction"
          + " are left out.",
      ""
    })
final class SynthCommand implements Command {

  @Parameters(paramLabel = "OUT", description = "A folder that does not exist or is empty.")
  Path out = Path.of("");

  @Option(
      names = "--config",
      required = true,
      paramLabel = "FILE|NAME",
      description =
          "A config.json, or the shipped deepseek-v3-tiny, deepseek-v2-slice, deepseek-v2-lite or"
              + " qwen2-1.5b.")
  String config = "";

  @Option(
      names = "--weights",
      paramLabel = "FORMAT",
      defaultValue = "bf16",
      description =
          "bf16 (default), fp8 (E4M3 in blocks of 128 x 128), int8 (a scale a row) or int4 (groups"
              + " of 32); of integers the head too.")
  String weights = "bf16";

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Another number gives other weights; default: 0.")
  long seed;

  @Option(
      names = "--shard-size",
      paramLabel = "SIZE",
      defaultValue = "5GB",
      description = "Most bytes of a file, such as 500MB or 2GiB; default: 5GB.")
  String shardSize = "5GB";

  @Mixin OutputOptions output = new OutputOptions();

  private final Terminal terminal;

  SynthCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public ExitCode run() {
    SynthWeights format = format();
    long maxShardBytes = ByteSize.parse("--shard-size", shardSize);
    ShippedConfig source = ShippedConfig.find(config);
    SyntheticCheckpoint checkpoint = new SyntheticCheckpoint(source, format, seed, maxShardBytes);
    try {
      prepareFolder();
      checkpoint.write(out);
      for (Path file : source.tokenizerFiles()) {
        Files.copy(file, out.resolve(file.getFileName()));
      }
    } catch (IOException e) {
      throw Failure.failure(
          "The checkpoint " + Text.quote(out.toString()) + " was not written",
          e.getClass().getSimpleName() + " " + Text.quote(e.getMessage()),
          "check that the disk has room and that this user may write there",
          e);
    }
    print(checkpoint, !source.tokenizerFiles().isEmpty());
    return ExitCode.OK;
  }

  private SynthWeights format() {
    return switch (weights.toLowerCase(Locale.ROOT)) {
      case "bf16" -> SynthWeights.BF16;
      case "fp8" -> SynthWeights.FP8;
      case "int8" -> SynthWeights.INT8;
      case "int4" -> SynthWeights.INT4;
      default ->
          throw Failure.usage(
              "Wrong usage of fathom synth",
              "must be bf16, fp8, int8 or int4: --weights=" + Text.quote(weights),
              "choose one of them");
    };
  }

  private void prepareFolder() throws IOException {
    if (Files.exists(out) && !Files.isDirectory(out)) {
      throw Failure.usage(
          "The checkpoint cannot be written to " + Text.quote(out.toString()),
          "it is a file",
          "give a folder that does not exist yet");
    }
    Files.createDirectories(out);
    try (Stream<Path> files = Files.list(out)) {
      if (files.findAny().isPresent()) {
        throw Failure.usage(
            "The checkpoint cannot be written to " + Text.quote(out.toString()),
            "the folder is not empty",
            "give a folder that does not exist yet");
      }
    }
  }

  private void print(SyntheticCheckpoint checkpoint, boolean withTokenizer) {
    if (output.json) {
      JsonObject document =
          JsonObject.builder()
              .put("out", out.toString())
              .put("checkpoint", checkpoint.toString())
              .put("tensors", checkpoint.tensors().size())
              .put("bytes", checkpoint.totalBytes())
              .put("shards", checkpoint.numShards())
              .put("seed", seed)
              .put("tokenizer", withTokenizer)
              .build();
      terminal.out().println(JsonWriter.python(document));
      return;
    }
    terminal
        .out()
        .println(
            "wrote "
                + checkpoint
                + ": "
                + checkpoint.tensors().size()
                + " tensors, "
                + Bytes.of(checkpoint.totalBytes())
                + (checkpoint.numShards() == 1 ? " in 1 file" : files(checkpoint))
                + (withTokenizer ? "" : ", no tokenizer")
                + " to "
                + out);
  }

  private static String files(SyntheticCheckpoint checkpoint) {
    return " in " + checkpoint.numShards() + " files";
  }
}
