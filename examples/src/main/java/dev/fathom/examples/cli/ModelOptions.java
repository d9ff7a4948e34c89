package dev.fathom.examples.cli;

import dev.fathom.DeepSeekModel;
import dev.fathom.LoadOptions;
import dev.fathom.examples.console.BundledSample;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Terminal;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
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
      names = "--context",
      paramLabel = "TOKENS",
      defaultValue = "0",
      description = "Most tokens of prompt and answer together; default: the model's, up to 8192.")
  int contextTokens;

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
    return LoadOptions.defaults().backend(backend).threads(threads).contextTokens(contextTokens);
  }

  /** Loads the model and shows how it goes. */
  DeepSeekModel load(Terminal terminal) {
    return load(terminal, loadOptions());
  }

  /** Loads the model with other options and shows how it goes. */
  DeepSeekModel load(Terminal terminal, LoadOptions options) {
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
