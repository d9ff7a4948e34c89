package dev.fathom.examples.cli;

import dev.fathom.Bytes;
import dev.fathom.DeepSeekModel;
import dev.fathom.error.Text;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Numbers;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import dev.fathom.quantization.CalibrationText;
import dev.fathom.quantization.QuantizationRecipe;
import dev.fathom.quantization.QuantizationRecipe.Layout;
import dev.fathom.quantization.QuantizationRecipe.Refinement;
import dev.fathom.quantization.QuantizationReport;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Writes a quantized checkpoint of another one. */
@CommandLine.Command(
    name = "quantize",
    sortOptions = false,
    description = {
      "Write a quantized checkpoint of an unquantized or FP8 one.",
      "",
      "Norms, embeddings, routers and the head stay as they are. Weights are streamed: memory for"
          + " one matrix is enough, but awq runs the model first. A run that was interrupted goes"
          + " on when it is repeated.",
      ""
    })
final class QuantizeCommand implements Command {

  private static final int DEFAULT_GROUP = 128;

  @Parameters(index = "0", paramLabel = "SOURCE", description = "Folder of the checkpoint.")
  Path source = Path.of("");

  @Parameters(
      index = "1",
      paramLabel = "TARGET",
      description = "A folder that does not exist or is empty.")
  Path target = Path.of("");

  @Option(
      names = "--method",
      required = true,
      paramLabel = "NAME",
      description = {
        "fp8 (blocks of 128 x 128), int8, int4 (rounded to nearest),",
        "or awq (int4, activation-aware)."
      })
  String method = "";

  @Option(
      names = "--group",
      paramLabel = "N",
      description = {
        "Columns that share a scale: 32, 64 or 128;",
        "default: 128 for int4 and awq, a whole row for int8."
      })
  @Nullable Integer group;

  @Option(names = "--symmetric", description = "int4 and awq: no zero points.")
  boolean symmetric;

  @Option(
      names = "--keep",
      split = ",",
      paramLabel = "PATTERN",
      description = "Linears to leave alone, such as '*.kv_b_proj'; * is any text. Repeatable.")
  List<String> keep = new ArrayList<>();

  @Option(names = "--head", description = "Quantize the output head too.")
  boolean head;

  @Option(
      names = "--layout",
      paramLabel = "NAME",
      defaultValue = "auto",
      description = {
        "auto (default), awq or compressed-tensors. auto takes awq for --method awq",
        "where one group size fits all linears."
      })
  String layout = "auto";

  @Option(
      names = "--calibration",
      paramLabel = "FILE",
      description = {
        "awq: UTF-8 texts, blank lines between them, control tokens written out;",
        "default: texts that the model writes by itself."
      })
  @Nullable Path calibration;

  @Option(
      names = "--own-texts",
      paramLabel = "N",
      defaultValue = "" + CalibrationText.OWN_TEXTS,
      description = "awq: how many texts the model writes itself; default: ${DEFAULT-VALUE}.")
  int ownTexts = CalibrationText.OWN_TEXTS;

  @Option(
      names = "--samples",
      paramLabel = "N",
      defaultValue = "" + CalibrationText.SAMPLES,
      description = "awq: activation vectors kept for each linear; default: ${DEFAULT-VALUE}.")
  int samples = CalibrationText.SAMPLES;

  @Option(
      names = "--refine",
      paramLabel = "NAME",
      defaultValue = "clipping",
      description = {
        "awq: none, clipping (default, as published), or rounding: clipping, then integers",
        "whose errors cancel on the calibration."
      })
  String refine = "clipping";

  @Mixin OutputOptions output = new OutputOptions();

  private final Terminal terminal;

  QuantizeCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public ExitCode run() {
    QuantizationRecipe recipe = recipe();
    QuantizeProgressLine progress = new QuantizeProgressLine(terminal);
    QuantizationReport report;
    try {
      report = DeepSeekModel.quantize(source, target, recipe, progress);
    } finally {
      progress.finish();
    }
    if (output.json) {
      terminal.out().println(JsonWriter.python(json(report)));
    } else {
      print(report);
    }
    return ExitCode.OK;
  }

  private QuantizationRecipe recipe() {
    QuantizationRecipe recipe =
        switch (method.toLowerCase(Locale.ROOT)) {
          case "fp8" -> fp8();
          case "int8" -> group == null ? QuantizationRecipe.int8() : QuantizationRecipe.int8(group);
          case "int4" -> QuantizationRecipe.int4(group == null ? DEFAULT_GROUP : group);
          case "awq" -> awq();
          default -> throw usage("must be fp8, int8, int4 or awq: --method=" + Text.quote(method));
        };
    recipe = symmetric ? recipe.symmetric() : recipe;
    recipe = head ? recipe.withHead() : recipe;
    recipe = recipe.keeping(keep.toArray(String[]::new));
    return recipe.layout(layout());
  }

  private QuantizationRecipe fp8() {
    if (group != null) {
      throw usage("must be left out, blocks are 128 x 128: --group=" + group);
    }
    return QuantizationRecipe.fp8();
  }

  private QuantizationRecipe awq() {
    QuantizationRecipe recipe = QuantizationRecipe.awq(group == null ? DEFAULT_GROUP : group);
    recipe = recipe.refinement(refinement());
    CalibrationText text =
        calibration == null ? CalibrationText.OWN : CalibrationText.of(texts(calibration));
    return recipe.calibratedOn(text.ownTexts(ownTexts).samples(samples));
  }

  private Refinement refinement() {
    return switch (refine.toLowerCase(Locale.ROOT)) {
      case "none" -> Refinement.NONE;
      case "clipping" -> Refinement.CLIPPING;
      case "rounding" -> Refinement.ROUNDING;
      default -> throw usage("must be none, clipping or rounding: --refine=" + Text.quote(refine));
    };
  }

  private Layout layout() {
    return switch (layout.toLowerCase(Locale.ROOT)) {
      case "auto" -> Layout.AUTO;
      case "awq" -> Layout.AWQ;
      case "compressed-tensors" -> Layout.COMPRESSED_TENSORS;
      default ->
          throw usage("must be auto, awq or compressed-tensors: --layout=" + Text.quote(layout));
    };
  }

  private static Failure usage(String why) {
    return Failure.usage("Wrong usage of fathom quantize", why, "see fathom help quantize");
  }

  private static List<String> texts(Path file) {
    try {
      List<String> texts = new ArrayList<>();
      StringBuilder text = new StringBuilder();
      for (String line : Files.readAllLines(file, StandardCharsets.UTF_8)) {
        if (line.isBlank()) {
          add(text, texts);
        } else {
          text.append(text.isEmpty() ? "" : "\n").append(line);
        }
      }
      add(text, texts);
      if (texts.isEmpty()) {
        throw usage("must hold at least one text: --calibration=" + file);
      }
      return texts;
    } catch (IOException e) {
      throw Failure.usage(
          "The calibration texts " + Text.quote(file.toString()) + " cannot be read",
          e.getClass().getSimpleName() + " " + Text.quote(String.valueOf(e.getMessage())),
          "give a UTF-8 text file",
          e);
    }
  }

  private static void add(StringBuilder text, List<String> texts) {
    if (!text.isEmpty()) {
      texts.add(text.toString());
      text.setLength(0);
    }
  }

  private void print(QuantizationReport report) {
    double share = 100.0 * report.targetBytes() / report.sourceBytes();
    terminal
        .out()
        .println(
            "wrote "
                + target
                + ": "
                + report.recipe()
                + " ("
                + report.layout()
                + "), "
                + Bytes.of(report.sourceBytes())
                + " -> "
                + Bytes.of(report.targetBytes())
                + " ("
                + Numbers.fixed(share, 1)
                + " %)");
    terminal
        .out()
        .println(
            report.numQuantized()
                + " linears quantized, "
                + report.numKept()
                + " kept, "
                + report.numShards()
                + (report.numShards() == 1 ? " file" : " files")
                + (report.numResumed() == 0
                    ? ""
                    : " (" + report.numResumed() + " of an earlier run)")
                + ", "
                + Numbers.fixed((double) report.took().toMillis() / 1000, 1)
                + " s");
    report.notes().forEach(note -> terminal.out().println("note: " + note));
  }

  private JsonObject json(QuantizationReport report) {
    List<JsonValue> notes = new ArrayList<>();
    report.notes().forEach(note -> notes.add(new JsonString(note)));
    return JsonObject.builder()
        .put("target", target.toString())
        .put("recipe", report.recipe().toString())
        .put("quant_method", report.layout())
        .put("quantized", report.numQuantized())
        .put("kept", report.numKept())
        .put("source_bytes", report.sourceBytes())
        .put("target_bytes", report.targetBytes())
        .put("shards", report.numShards())
        .put("resumed", report.numResumed())
        .put("notes", new JsonArray(notes))
        .put("seconds", (double) report.took().toMillis() / 1000)
        .build();
  }
}
