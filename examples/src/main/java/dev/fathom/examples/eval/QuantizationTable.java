package dev.fathom.examples.eval;

import dev.fathom.DeepSeekModel;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.backend.ActivationMode;
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
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Measures what quantizing costs a model: quantizes an unquantized checkpoint by each recipe and
 * scores every result on the tasks of the sample. Prints a table in Markdown, a row as soon as it
 * is known.
 *
 * <p>Arguments: the folder of the checkpoint, the tasks, a scratch folder, and optionally how many
 * texts the model writes for the calibration (2048), how many activations are kept (32768), and
 * which rows are wanted (all; else a part of their names).
 *
 * <p>The column "own texts" is the perplexity of texts that the model wrote after those of the
 * calibration and that are not among them. The logarithm of its ratio to the first row's estimates
 * the Kullback-Leibler divergence from the unquantized model, in nats a token. Activations are
 * floats throughout.
 */
public final class QuantizationTable {

  private static final List<String> CHAT_KINDS =
      List.of("text:wordnet", "text:facts", "text:debian", "text:arith", "text:tools");
  private static final int TEXT_TOKENS = 255;
  private static final int TEXTS = 2048;
  private static final int SAMPLES = 32768;
  private static final int HELD_OUT = 1024;
  private static final String OWN = "own texts";

  private QuantizationTable() {}

  /** Runs the measurement; see the class. */
  public static void main(String[] args) throws IOException {
    Path source = Path.of(args[0]);
    EvalSet tasks = EvalSet.read(Path.of(args[1]));
    Path scratch = Files.createDirectories(Path.of(args[2]));
    int texts = args.length > 3 ? Integer.parseInt(args[3]) : TEXTS;
    int samples = args.length > 4 ? Integer.parseInt(args[4]) : SAMPLES;
    String wanted = args.length > 5 ? args[5] : "";
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    List<String> written = ownTexts(source, texts + HELD_OUT);
    List<String> seen = written.subList(0, texts);
    List<String> unseen =
        new ArrayList<>(new LinkedHashSet<>(written.subList(texts, written.size())));
    unseen.removeAll(new HashSet<>(seen));
    CalibrationText calibration = CalibrationText.of(seen).samples(samples);
    out.println(
        "| weights | MiB | "
            + String.join(" | ", tasks.names())
            + " | pooled chat | "
            + OWN
            + " |");
    out.println("|---".repeat(tasks.names().size() + 4) + "|");
    row(out, "BF16", source, tasks, unseen);
    recipes(calibration)
        .forEach((name, recipe) -> {
          if (name.contains(wanted)) {
            Path target = scratch.resolve(name.replace(' ', '-'));
            DeepSeekModel.quantize(source, target, recipe);
            row(out, name, target, tasks, unseen);
          }
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

  private static void row(
      PrintStream out, String name, Path folder, EvalSet tasks, List<String> unseen) {
    StringBuilder line = new StringBuilder("| " + name + " | ");
    line.append(Numbers.fixed(bytes(folder) / (double) (1 << 20), 1));
    double nats = 0;
    long tokens = 0;
    try (DeepSeekModel model =
        DeepSeekModel.builder(folder).activations(ActivationMode.FLOAT).load()) {
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
      line.append(" | ").append(Numbers.fixed(Math.exp(nats / tokens), 4));
      line.append(" | ").append(Numbers.fixed(scorer.perplexity(OWN, unseen).value(), 4));
    }
    line.append(" |");
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
