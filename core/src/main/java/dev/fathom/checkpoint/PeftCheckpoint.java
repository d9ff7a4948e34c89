package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A folder with a LoRA adapter as PEFT writes it: {@code adapter_config.json} and {@code
 * adapter_model.safetensors}. Opening reads the configuration and the header; no tensor.
 *
 * @param folder where it lies
 * @param config what the configuration says
 * @param file the factors
 */
public record PeftCheckpoint(Path folder, PeftConfig config, SafetensorsFile file) {

  private static final String CONFIG = "adapter_config.json";
  private static final String WEIGHTS = "adapter_model.safetensors";
  private static final String PICKLED = "adapter_model.bin";
  private static final long MAX_CONFIG_BYTES = 1 << 20;

  /**
   * Opens a folder.
   *
   * @throws CheckpointException if a file is missing or broken
   * @throws dev.fathom.error.ModelConfigException if the adapter is of a kind that is not
   *     implemented
   */
  public static PeftCheckpoint open(Path folder) {
    Path config = folder.resolve(CONFIG);
    if (!Files.exists(config)) {
      throw new CheckpointException(
          ErrorCode.CHECKPOINT_NOT_FOUND,
          "The adapter " + Text.quote(folder.toString()) + " cannot be opened",
          "there is no " + CONFIG + " in it",
          "give the folder that PEFT's save_pretrained wrote");
    }
    PeftConfig parsed = PeftConfig.parse(CheckpointFiles.readAll(config, MAX_CONFIG_BYTES));
    Path weights = folder.resolve(WEIGHTS);
    if (!Files.exists(weights) && Files.exists(folder.resolve(PICKLED))) {
      throw new CheckpointException(
          ErrorCode.CHECKPOINT_PICKLED,
          "The adapter " + Text.quote(folder.toString()) + " cannot be opened",
          "its weights are a pickled PyTorch file, which can run code when it is read: file="
              + PICKLED,
          "write it again with PEFT's save_pretrained(..., safe_serialization=True)");
    }
    return new PeftCheckpoint(folder, parsed, SafetensorsFile.open(weights));
  }

  /** Opens the file for reading tensors. */
  public CheckpointReader reader() {
    return CheckpointReader.of(List.of(file), ReadProgress.NONE);
  }
}
