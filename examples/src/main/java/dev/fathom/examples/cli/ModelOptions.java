package dev.fathom.examples.cli;

import dev.fathom.Bytes;
import dev.fathom.DeepSeekModel;
import dev.fathom.LoadOptions;
import dev.fathom.Speculation;
import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.PrefillMode;
import dev.fathom.error.Text;
import dev.fathom.examples.console.BundledSample;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Terminal;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.quant.WeightFormat;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say which model runs, and on what. */
final class ModelOptions {

  @Option(
      names = {"-m", "--model"},
      paramLabel = "PATH",
      description = "Folder of the checkpoint; default: the sample that comes with the sources.")
  @Nullable String model;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      defaultValue = "auto",
      description = "auto (default), cpu, cuda or reference.")
  String backend = "auto";

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "Worker threads of the backend; default: what it finds best.")
  int threads;

  @Option(
      names = "--vector-bits",
      paramLabel = "N",
      defaultValue = "0",
      description = "Vectors of the CPU backend: 128, 256 or 512 bits; default: the widest.")
  int vectorBits;

  @Option(
      names = "--activations",
      paramLabel = "MODE",
      description =
          "How activations meet int8 and int4 weights: integer (default) rounds them to bytes,"
              + " float is exact.")
  @Nullable String activations;

  @Option(
      names = "--prefill",
      paramLabel = "MODE",
      description =
          "What multiplies prompts: java (default), or onednn, a library that the class path must"
              + " have.")
  @Nullable String prefill;

  @Option(
      names = "--context",
      paramLabel = "TOKENS",
      defaultValue = "0",
      description = "Most tokens of prompt and answer together; default: the model's, up to 8192.")
  int contextTokens;

  @Option(
      names = "--weights",
      paramLabel = "FORMAT",
      description =
          "Bring linear layers to bf16, fp8, int8 or int4 while loading; default: as stored.")
  @Nullable String weights;

  @Option(
      names = "--kv-cache",
      paramLabel = "FORMAT",
      description = "How the key-value cache is stored: f32 (default) or bf16, which is half.")
  @Nullable String kvCache;

  @Option(
      names = "--kv-host-memory",
      paramLabel = "SIZE",
      description = "More memory for cached prompts that leave the KV cache, such as 4GiB.")
  @Nullable String kvHostMemory;

  @Option(
      names = "--kv-folder",
      paramLabel = "PATH",
      description = "Keeps cached prompts in files there, for later runs too; confidential.")
  @Nullable Path kvFolder;

  @Option(
      names = "--kv-folder-limit",
      paramLabel = "SIZE",
      defaultValue = "10GiB",
      description = "Most bytes of that folder; default: 10GiB.")
  String kvFolderLimit = "10GiB";

  @Option(
      names = "--sequences",
      paramLabel = "N",
      defaultValue = "1",
      description = "How many full contexts the key-value cache holds; default: 1.")
  int maxSequences = 1;

  @Option(
      names = "--chunk",
      paramLabel = "TOKENS",
      description = "Most tokens of a step; results do not depend on it; default: 256.")
  @Nullable Integer chunk;

  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      description = "Most memory to take, such as 8GiB; default: what the machine has.")
  @Nullable String memory;

  @Option(
      names = "--prompt-format",
      paramLabel = "NAME",
      description = "Prompt format where the checkpoint's own is not recognised: deepseek-v3, ...")
  @Nullable String promptFormat;

  @Option(
      names = "--speculation",
      paramLabel = "HOW",
      description =
          "Guess tokens ahead: mtp[:TOKENS] by the checkpoint's own module, ngram[:TOKENS] by what"
              + " followed before, off; never changes the output; default: off.")
  @Nullable String speculation;

  @Option(
      names = "--adapter",
      paramLabel = "[NAME=]PATH",
      description = "Folder of a LoRA adapter (PEFT) that the command runs with.")
  @Nullable String adapter;

  /** Returns the name of the adapter, or null. */
  @Nullable String adapterName() {
    if (adapter == null) {
      return null;
    }
    int equals = adapter.indexOf('=');
    return equals > 0 ? adapter.substring(0, equals) : "adapter";
  }

  private static Path adapterPath(String given) {
    try {
      return Path.of(given.substring(given.indexOf('=') + 1));
    } catch (InvalidPathException e) {
      throw Failure.usage(
          "The adapter was not found",
          "this is not a path: --adapter=" + given,
          "give the folder of an adapter",
          e);
    }
  }

  /** Returns the folder of the checkpoint. */
  Path path() {
    if (model == null) {
      return BundledSample.checkpoint();
    }
    try {
      return Path.of(model);
    } catch (InvalidPathException e) {
      throw Failure.usage(
          "The model was not found",
          "this is not a path: --model=" + model,
          "give the folder of a checkpoint",
          e);
    }
  }

  /**
   * Returns the options of loading.
   *
   * @throws dev.fathom.error.InvalidRequestException where one is out of its range
   */
  LoadOptions loadOptions() {
    LoadOptions options =
        LoadOptions.defaults()
            .backend(backend)
            .threads(threads)
            .vectorBits(vectorBits)
            .contextTokens(contextTokens)
            .maxSequences(maxSequences)
            .promptFormat(promptFormat);
    if (weights != null) {
      options = options.weights(weightFormat(weights));
    }
    if (activations != null) {
      options = options.activations(activationMode(activations));
    }
    if (prefill != null) {
      options = options.prefill(prefillMode(prefill));
    }
    if (kvCache != null) {
      options = options.kvCache(kvFormat(kvCache));
    }
    if (kvHostMemory != null) {
      options = options.kvHostMemory(Bytes.of(ByteSize.parse("--kv-host-memory", kvHostMemory)));
    }
    if (kvFolder != null) {
      long limit = ByteSize.parse("--kv-folder-limit", kvFolderLimit);
      options = options.kvFolder(kvFolder, Bytes.of(limit));
    }
    if (chunk != null) {
      options = options.prefillChunkTokens(chunk);
    }
    if (speculation != null) {
      options = options.speculation(speculation(speculation));
    }
    if (memory != null) {
      options = options.memoryBudget(Bytes.of(ByteSize.parse("--memory", memory)));
    }
    String name = adapterName();
    if (adapter != null && name != null) {
      options = options.adapter(name, adapterPath(adapter));
    }
    return options;
  }

  private static Speculation speculation(String text) {
    int colon = text.indexOf(':');
    String name = colon < 0 ? text : text.substring(0, colon);
    int tokens = colon < 0 ? 0 : guesses(text, text.substring(colon + 1));
    if (name.equals("off") && colon < 0) {
      return Speculation.off();
    }
    return switch (name) {
      case "mtp" -> colon < 0 ? Speculation.mtp() : Speculation.mtp(tokens);
      case "ngram" -> Speculation.ngram(colon < 0 ? 4 : tokens);
      default -> throw notSpeculation(text);
    };
  }

  private static int guesses(String text, String number) {
    try {
      return Integer.parseInt(number);
    } catch (NumberFormatException e) {
      throw notSpeculation(text);
    }
  }

  private static Failure notSpeculation(String text) {
    return Failure.usage(
        "The way of guessing is not known",
        "must be mtp, mtp:TOKENS, ngram, ngram:TOKENS or off: --speculation=" + text,
        "give --speculation mtp or --speculation ngram:4");
  }

  private static WeightFormat weightFormat(String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "bf16" -> WeightFormat.BF16;
      case "fp8" -> WeightFormat.FP8_E4M3;
      case "int8" -> WeightFormat.INT8;
      case "int4" -> WeightFormat.INT4;
      default ->
          throw Failure.usage(
              "Wrong usage of --weights",
              "must be bf16, fp8, int8 or int4: --weights=" + Text.quote(name),
              "choose one of them, or leave it out to keep the checkpoint's");
    };
  }

  private static ActivationMode activationMode(String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "integer" -> ActivationMode.INTEGER;
      case "float" -> ActivationMode.FLOAT;
      default ->
          throw Failure.usage(
              "Wrong usage of --activations",
              "must be integer or float: --activations=" + Text.quote(name),
              "choose one of them");
    };
  }

  private static PrefillMode prefillMode(String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "java" -> PrefillMode.JAVA;
      case "onednn" -> PrefillMode.ONEDNN;
      default ->
          throw Failure.usage(
              "Wrong usage of --prefill",
              "must be java or onednn: --prefill=" + Text.quote(name),
              "choose one of them");
    };
  }

  private static KvFormat kvFormat(String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "f32" -> KvFormat.F32;
      case "bf16" -> KvFormat.BF16;
      case "fp8" -> KvFormat.FP8_E4M3;
      case "e5m2" -> KvFormat.FP8_E5M2;
      default ->
          throw Failure.usage(
              "Wrong usage of --kv-cache",
              "must be f32, bf16, fp8 or e5m2: --kv-cache=" + Text.quote(name),
              "choose one of them");
    };
  }

  /** Loads the model and shows how it goes. */
  DeepSeekModel load(Terminal terminal) {
    return load(terminal, loadOptions());
  }

  /** Loads the model for a conversation, or says that it has none before reading any weight. */
  DeepSeekModel loadForChat(Terminal terminal) {
    return load(terminal, loadOptions().requireChat(true));
  }

  private DeepSeekModel load(Terminal terminal, LoadOptions options) {
    LoadReport report = new LoadReport(terminal);
    DeepSeekModel loaded;
    try {
      loaded = DeepSeekModel.builder(path()).options(options).onProgress(report).load();
    } finally {
      report.finish();
    }
    if (backend.equals("auto")) {
      SlowBackend.adviseOnce(terminal, loaded.diagnostics());
    }
    return loaded;
  }
}
