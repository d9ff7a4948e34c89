package dev.fathom.examples.synth;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.error.Text;
import dev.fathom.examples.console.BundledSample;
import dev.fathom.examples.console.Failure;
import dev.fathom.json.Json;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Where the configuration of a synthetic checkpoint comes from: a file, or a name that this program
 * ships.
 *
 * @param config the configuration, checked key by key when it is read
 * @param json all its keys
 * @param tokenizerFiles files to copy beside it, so that the model can be loaded: those of the
 *     bundled sample, whose vocabulary is smaller than that of most configurations; none for a file
 */
public record ShippedConfig(ModelConfig config, JsonObject json, List<Path> tokenizerFiles) {

  /** The names that are shipped. */
  public static final List<String> NAMES =
      List.of("deepseek-v3-tiny", "deepseek-v2-slice", "deepseek-v2-lite", "qwen2-1.5b");

  private static final List<String> TOKENIZER_FILES =
      List.of("tokenizer.json", "tokenizer_config.json");

  /** Copies the list. */
  public ShippedConfig {
    tokenizerFiles = List.copyOf(tokenizerFiles);
  }

  /**
   * Finds a configuration.
   *
   * @param nameOrFile one of {@link #NAMES}, else the path of a config.json
   * @throws Failure where it is neither
   */
  public static ShippedConfig find(String nameOrFile) {
    if (NAMES.contains(nameOrFile)) {
      Path sample = BundledSample.checkpoint();
      return of(
          resource(nameOrFile),
          nameOrFile + ".json",
          TOKENIZER_FILES.stream().map(sample::resolve).toList());
    }
    Path file = Path.of(nameOrFile);
    try {
      return of(Files.readAllBytes(file), nameOrFile, List.of());
    } catch (IOException e) {
      throw Failure.usage(
          "The configuration " + Text.quote(nameOrFile) + " was not found",
          "it is neither a shipped name nor a file that can be read",
          "give a config.json, or one of: " + String.join(", ", NAMES),
          e);
    }
  }

  private static ShippedConfig of(byte[] bytes, String source, List<Path> tokenizerFiles) {
    ModelConfig config = ModelConfig.parse(bytes, source);
    if (Json.parse(bytes, JsonLimits.DEFAULT) instanceof JsonObject json) {
      return new ShippedConfig(config, json, tokenizerFiles);
    }
    throw new IllegalStateException("a configuration that was read is an object");
  }

  private static byte[] resource(String name) {
    try (InputStream in = ShippedConfig.class.getResourceAsStream(name + ".json")) {
      if (in == null) {
        throw new IllegalStateException("the program lacks its resource " + name + ".json");
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new IllegalStateException("the resource " + name + ".json cannot be read", e);
    }
  }
}
