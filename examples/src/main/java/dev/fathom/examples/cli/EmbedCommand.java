package dev.fathom.examples.cli;

import dev.fathom.DeepSeekModel;
import dev.fathom.EmbeddingOptions;
import dev.fathom.Embeddings;
import dev.fathom.Pooling;
import dev.fathom.error.Text;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Numbers;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Turns texts into vectors. */
@CommandLine.Command(
    name = "embed",
    sortOptions = false,
    description = {
      "Turn texts into vectors, from the hidden states after the final norm.",
      "",
      "Without texts, each line of standard input is one. --json writes all numbers; else the",
      "first of each vector are shown, and how alike the texts are (cosine).",
      ""
    })
final class EmbedCommand implements Command {

  private static final int SHOWN = 4;

  @Parameters(arity = "0..*", paramLabel = "TEXT", description = "Texts.")
  @Nullable List<String> texts;

  @Option(
      names = "--pooling",
      paramLabel = "NAME",
      defaultValue = "last",
      description = "last: the state of the last token (default); mean: of all tokens.")
  String pooling = "last";

  @Option(
      names = "--normalize",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "Give vectors of length 1 (default), or not.")
  boolean normalize = true;

  @Option(names = "--truncate", description = "Cut texts that are longer than the context.")
  boolean truncate;

  @Mixin ModelOptions model = new ModelOptions();
  @Mixin OutputOptions output = new OutputOptions();

  private final Terminal terminal;

  EmbedCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public ExitCode run() {
    List<String> wanted = texts == null ? lines() : texts;
    EmbeddingOptions options =
        EmbeddingOptions.defaults()
            .pooling(pooling())
            .normalized(normalize)
            .truncated(truncate)
            .adapter(model.adapterName());
    try (DeepSeekModel loaded = model.load(terminal)) {
      Embeddings embeddings = loaded.embed(wanted, options);
      if (output.json) {
        terminal.out().println(JsonWriter.python(json(embeddings)));
      } else {
        print(embeddings);
      }
    }
    return ExitCode.OK;
  }

  private List<String> lines() {
    List<String> lines = InputText.read(terminal).lines().filter(l -> !l.isBlank()).toList();
    if (lines.isEmpty()) {
      throw Failure.usage(
          "There is nothing to embed", "standard input has no text", "give texts as arguments");
    }
    return lines;
  }

  private Pooling pooling() {
    return switch (pooling.toLowerCase(Locale.ROOT)) {
      case "last" -> Pooling.LAST_TOKEN;
      case "mean" -> Pooling.MEAN;
      default ->
          throw Failure.usage(
              "Wrong usage of --pooling",
              "must be last or mean: --pooling=" + Text.quote(pooling),
              "choose one of them");
    };
  }

  private static JsonObject json(Embeddings embeddings) {
    List<JsonValue> data = new ArrayList<>();
    for (int i = 0; i < embeddings.vectors().size(); i++) {
      List<JsonValue> numbers = new ArrayList<>();
      for (float value : embeddings.vectors().get(i)) {
        numbers.add(JsonNumber.of(value));
      }
      data.add(
          JsonObject.builder()
              .put("index", i)
              .put("tokens", embeddings.tokens().get(i))
              .put("embedding", new JsonArray(numbers))
              .build());
    }
    return JsonObject.builder()
        .put("dimensions", embeddings.dimensions())
        .put("data", new JsonArray(data))
        .put("usage", JsonObject.builder().put("prompt_tokens", embeddings.totalTokens()).build())
        .build();
  }

  private void print(Embeddings embeddings) {
    for (int i = 0; i < embeddings.vectors().size(); i++) {
      StringBuilder line = new StringBuilder();
      line.append(i + 1).append(": ").append(embeddings.tokens().get(i)).append(" tokens, ");
      line.append(embeddings.dimensions()).append(" dimensions:");
      float[] vector = embeddings.vectors().get(i);
      for (int j = 0; j < Math.min(SHOWN, vector.length); j++) {
        line.append(' ').append(Numbers.fixed(vector[j], 4));
      }
      line.append(" ...");
      if (i > 0) {
        double cosine = cosine(embeddings.vectors().getFirst(), vector);
        line.append(" cosine with 1: ").append(Numbers.fixed(cosine, 4));
      }
      terminal.out().println(line);
    }
  }

  private static double cosine(float[] a, float[] b) {
    double dot = 0;
    double lengths = 0;
    double others = 0;
    for (int i = 0; i < a.length; i++) {
      dot += (double) a[i] * b[i];
      lengths += (double) a[i] * a[i];
      others += (double) b[i] * b[i];
    }
    return dot / Math.sqrt(lengths * others);
  }
}
