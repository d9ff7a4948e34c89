package dev.fathom.examples.eval;

import dev.fathom.DeepSeekModel;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.examples.console.Numbers;
import dev.fathom.quantization.CalibrationText;
import dev.fathom.quantization.QuantizationRecipe;
import dev.fathom.quantization.QuantizationRecipe.Refinement;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Measures what quantizing costs a model: quantizes an unquantized checkpoint by each recipe and
 * scores every result on the tasks of the sample. Prints a table in Markdown, a row as soon as it
 * is known.
 *
 * <p>Arguments: the folder of the checkpoint, the tasks, a scratch folder, and optionally how many
 * texts the model writes for the calibration (512).
 */
public final class QuantizationTable {

  private static final List<String> CHAT_KINDS =
      List.of("text:wordnet", "text:facts", "text:debian", "text:arith", "text:tools");
  private static final int TEXT_TOKENS = 255;
  private static final int SAMPLES = 8192;

  private QuantizationTable() {}

  /** Runs the measurement; see the class. */
  public static void main(String[] args) throws IOException {
    Path source = Path.of(args[0]);
    EvalSet tasks = EvalSet.read(Path.of(args[1]));
    Path scratch = Files.createDirectories(Path.of(args[2]));
    int texts = args.length > 3 ? Integer.parseInt(args[3]) : 512;
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    CalibrationText calibration = CalibrationText.of(ownTexts(source, texts)).samples(SAMPLES);
    out.println("| weights | MiB | " + String.join(" | ", tasks.names()) + " | pooled chat |");
    out.println("|---".repeat(tasks.names().size() + 3) + "|");
    row(out, "BF16", source, tasks);
    recipes(calibration)
        .forEach((name, recipe) -> {
          Path target = scratch.resolve(name.replace(' ', '-'));
          DeepSeekModel.quantize(source, target, recipe);
          row(out, name, target, tasks);
        });
  }

  private static Map<String, QuantizationRecipe> recipes(CalibrationText calibration) {
    Map<String, QuantizationRecipe> recipes = new LinkedHashMap<>();
    recipes.put("FP8", QuantizationRecipe.fp8());
    recipes.put("INT8", QuantizationRecipe.int8());
    recipes.put("INT4 RTN g128", QuantizationRecipe.int4(128));
    recipes.put("INT4 RTN g32", QuantizationRecipe.int4(32));
    for (int group : new int[] {128, 32}) {
      QuantizationRecipe awq = QuantizationRecipe.awq(group).calibratedOn(calibration);
      recipes.put("INT4 AWQ g" + group, awq);
      recipes.put("INT4 AWQ+rounding g" + group, awq.refinement(Refinement.ROUNDING));
    }
    return recipes;
  }

  private static void row(PrintStream out, String name, Path folder, EvalSet tasks) {
    StringBuilder line = new StringBuilder("| " + name + " | ");
    line.append(Numbers.fixed(bytes(folder) / (double) (1 << 20), 1));
    double nats = 0;
    long tokens = 0;
    try (DeepSeekModel model = DeepSeekModel.load(folder)) {
      Scorer scorer = new Scorer(model);
      for (String task : tasks.names()) {
        List<String> texts = tasks.texts().get(task);
        Score score =
            texts == null
                ? scorer.exactMatch(task, tasks.exercises().getOrDefault(task, List.of()))
                : scorer.perplexity(task, texts);
        line.append(" | ").append(Numbers.fixed(score.value(), 3));
        if (CHAT_KINDS.contains(task)) {
          nats += Math.log(score.value()) * score.count();
          tokens += score.count();
        }
      }
    }
    line.append(" | ").append(Numbers.fixed(Math.exp(nats / tokens), 4)).append(" |");
    out.println(line);
  }

  private static double bytes(Path folder) {
    try (var files = Files.list(folder)) {
      return files
          .filter(file -> file.toString().endsWith(".safetensors"))
          .mapToLong(file -> file.toFile().length())
          .sum();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static List<String> ownTexts(Path source, int count) {
    List<String> texts = new ArrayList<>();
    try (DeepSeekModel model =
        DeepSeekModel.builder(source).contextTokens(TEXT_TOKENS + 1).maxSequences(32).load()) {
      int[] begin = model.encode(Prompt.text(""));
      List<CompletableFuture<Generation>> running = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        running.add(
            model.submit(
                GenerationRequest.of(Prompt.tokens(begin))
                    .temperature(1)
                    .topP(1)
                    .seed(4711L + i)
                    .maxTokens(TEXT_TOKENS)
                    .build()));
        if (running.size() == 64 || i == count - 1) {
          String start = model.tokenizer().decode(begin);
          running.forEach(
              text -> texts.add(start + model.tokenizer().decode(text.join().tokenIds())));
          running.clear();
        }
      }
    }
    return texts;
  }
}
