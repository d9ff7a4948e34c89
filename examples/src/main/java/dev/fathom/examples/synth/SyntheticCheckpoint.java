package dev.fathom.examples.synth;

import dev.fathom.arch.Architectures;
import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.ShardedWriter;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.WeightFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A checkpoint of random weights for a configuration. Its tensors are those that the architecture's
 * program asks for, so there is no second list of names and shapes; layers of multi-token
 * prediction, which no program reads, are left out and the written config.json says so.
 */
public final class SyntheticCheckpoint {

  private static final String NUM_MTP_LAYERS = "num_nextn_predict_layers";

  private final JsonObject config;
  private final SynthWeights weights;
  private final long seed;
  private final List<TensorSpec> tensors;
  private final ShardedWriter writer;

  /**
   * Plans a checkpoint.
   *
   * @param source of a supported architecture; its quantization_config is replaced
   * @param weights how the weights are stored
   * @param seed gives the same bytes for the same number
   * @param maxShardBytes of tensor data in a file
   * @throws dev.fathom.error.ModelConfigException where the architecture is not known or a value
   *     breaks a rule
   */
  public SyntheticCheckpoint(
      ShippedConfig source, SynthWeights weights, long seed, long maxShardBytes) {
    this.config = config(source.json(), weights);
    this.weights = weights;
    this.seed = seed;
    ModelConfig given = source.config();
    Program program = Architectures.forConfig(given).program(given, weights);
    this.tensors = tensors(program);
    this.writer = ShardedWriter.plan(tensors, maxShardBytes);
  }

  private static List<TensorSpec> tensors(Program program) {
    List<TensorSpec> specs = new ArrayList<>();
    for (WeightRef weight : program.weights()) {
      long[] shape = weight.shape().stream().mapToLong(Integer::longValue).toArray();
      if (weight.format() == WeightFormat.INT8 || weight.format() == WeightFormat.INT4) {
        specs.addAll(integers(weight));
        continue;
      }
      specs.add(new TensorSpec(weight.name(), dtype(weight.format()), shape));
      if (weight.format() == WeightFormat.FP8_E4M3) {
        BlockScaleLayout layout =
            BlockScaleLayout.square(weight.rows(), weight.cols(), RandomTensors.BLOCK);
        specs.add(
            TensorSpec.of(
                weight.name() + RandomTensors.SCALE_SUFFIX,
                SafetensorsDtype.F32,
                layout.scaleRows(),
                layout.scaleCols()));
      }
    }
    return List.copyOf(specs);
  }

  /** Codes and then scales, as compressed-tensors names them. */
  private static List<TensorSpec> integers(WeightRef weight) {
    int rows = weight.rows();
    int cols = weight.cols();
    String scale = weight.name() + RandomTensors.INTEGER_SCALE_SUFFIX;
    if (weight.format() == WeightFormat.INT8) {
      return List.of(
          TensorSpec.of(weight.name(), SafetensorsDtype.I8, rows, cols),
          TensorSpec.of(scale, SafetensorsDtype.F32, rows, 1));
    }
    int words = Math.ceilDiv(cols, RandomTensors.CODES_OF_A_WORD);
    return List.of(
        TensorSpec.of(
            weight.name() + RandomTensors.PACKED_SUFFIX, SafetensorsDtype.I32, rows, words),
        TensorSpec.of(scale, SafetensorsDtype.F16, rows, Math.ceilDiv(cols, RandomTensors.GROUP)));
  }

  private static SafetensorsDtype dtype(WeightFormat format) {
    return switch (format) {
      case F32 -> SafetensorsDtype.F32;
      case BF16 -> SafetensorsDtype.BF16;
      case FP8_E4M3 -> SafetensorsDtype.F8_E4M3;
      default -> throw new IllegalStateException("the catalog never says format=" + format);
    };
  }

  private static JsonObject config(JsonObject given, SynthWeights weights) {
    Map<String, JsonValue> fields = new LinkedHashMap<>(given.fields());
    fields.remove("quantization_config");
    fields.put("torch_dtype", new JsonString("bfloat16"));
    fields.computeIfPresent(NUM_MTP_LAYERS, (key, value) -> JsonNumber.of(0));
    if (weights == SynthWeights.FP8) {
      JsonNumber block = JsonNumber.of(RandomTensors.BLOCK);
      fields.put(
          "quantization_config",
          JsonObject.builder()
              .put("quant_method", "fp8")
              .put("fmt", "e4m3")
              .put("activation_scheme", "dynamic")
              .put("weight_block_size", new JsonArray(List.of(block, block)))
              .build());
    }
    if (weights == SynthWeights.INT8 || weights == SynthWeights.INT4) {
      fields.put("quantization_config", integerConfig(weights == SynthWeights.INT8));
    }
    return JsonObject.of(fields);
  }

  private static JsonObject integerConfig(boolean bytes) {
    JsonObject.Builder rule =
        JsonObject.builder()
            .put("num_bits", bytes ? 8 : 4)
            .put("type", "int")
            .put("symmetric", true)
            .put("strategy", bytes ? "channel" : "group");
    if (!bytes) {
      rule.put("group_size", RandomTensors.GROUP);
    }
    JsonObject group =
        JsonObject.builder()
            .put("targets", new JsonArray(List.of(new JsonString("Linear"))))
            .put("weights", rule.build())
            .build();
    return JsonObject.builder()
        .put("quant_method", "compressed-tensors")
        .put("format", bytes ? "int-quantized" : "pack-quantized")
        .put("config_groups", JsonObject.builder().put("group_0", group).build())
        .build();
  }

  /** Returns the tensors in the order in which they are written. */
  public List<TensorSpec> tensors() {
    return tensors;
  }

  /** Returns the bytes of all tensors. */
  public long totalBytes() {
    return writer.totalBytes();
  }

  /** Returns the number of safetensors files. */
  public int numShards() {
    return writer.numShards();
  }

  /**
   * Writes weights, index, config.json and generation_config.json. Memory stays bounded by the
   * largest quantized matrix.
   *
   * @param folder exists and is empty
   * @throws IOException where a configuration file cannot be written
   * @throws dev.fathom.error.CheckpointException where the weights cannot be written
   */
  public void write(Path folder) throws IOException {
    writer.write(folder, new RandomTensors(seed));
    Files.writeString(folder.resolve("config.json"), JsonWriter.pretty(config) + "\n");
    Files.writeString(
        folder.resolve("generation_config.json"), JsonWriter.pretty(generationConfig()) + "\n");
  }

  private JsonObject generationConfig() {
    JsonObject.Builder generation = JsonObject.builder();
    for (String key : List.of("bos_token_id", "eos_token_id", "pad_token_id")) {
      JsonValue id = config.get(key);
      if (id != null) {
        generation.put(key, id);
      }
    }
    return generation.put("do_sample", true).put("temperature", 0.6).put("top_p", 0.95).build();
  }

  /** Returns the model type and how weights are stored, for messages. */
  @Override
  public String toString() {
    return config.string("model_type") + " " + weights;
  }
}
