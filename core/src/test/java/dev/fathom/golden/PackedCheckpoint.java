package dev.fathom.golden;

import dev.fathom.arch.Architectures;
import dev.fathom.arch.Compatibility;
import dev.fathom.arch.TensorCatalog;
import dev.fathom.backend.WeightSource;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.CheckpointReader;
import dev.fathom.checkpoint.MappedCheckpoint;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.ShardedWriter;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The golden V3 of transformers with its linears packed, in a folder; and what they decode to. */
final class PackedCheckpoint {

  private static final String MODEL = "goldens/" + Golden.TRANSFORMERS;
  private static final long SHARD_BYTES = 300_000;

  private final TestTensors plain = new TestTensors();
  private final Map<TensorSpec, byte[]> tensors = new LinkedHashMap<>();
  private final Map<String, float[]> decoded = new HashMap<>();

  /** Packs a linear, or does nothing to leave it as it is. */
  interface Packing {
    void pack(PackedLinear linear);
  }

  /**
   * Quantizes and writes the model.
   *
   * @param quantization the value of quantization_config, or empty for none
   */
  PackedCheckpoint(Path folder, String quantization, Packing packing) {
    plain.add(TestModel.resource(MODEL + "/model.safetensors"));
    plain.all().forEach((name, tensor) -> add(name, tensor, packing));
    ShardedWriter.plan(List.copyOf(tensors.keySet()), SHARD_BYTES)
        .write(folder, (spec, sink) -> sink.write(MemorySegment.ofArray(tensors.get(spec))));
    String config = new String(TestModel.resource(MODEL + "/config.json"), StandardCharsets.UTF_8);
    if (!quantization.isEmpty()) {
      config =
          config.substring(0, config.lastIndexOf('}'))
              + ",\"quantization_config\":"
              + quantization
              + "}";
    }
    try {
      Files.writeString(folder.resolve("config.json"), config);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void add(String name, TestTensors.Tensor tensor, Packing packing) {
    if (name.contains("_proj") && name.endsWith(".weight")) {
      int out = Math.toIntExact(tensor.shape().get(0));
      int in = Math.toIntExact(tensor.shape().get(1));
      String stem = name.substring(0, name.length() - "weight".length());
      PackedLinear linear = new PackedLinear(stem, floats(tensor), out, in);
      packing.pack(linear);
      if (!linear.tensors().isEmpty()) {
        tensors.putAll(linear.tensors());
        decoded.put(name, linear.decoded());
        return;
      }
    }
    long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
    SafetensorsDtype dtype = SafetensorsDtype.valueOf(tensor.dtype());
    byte[] bytes = tensor.data().toArray(ValueLayout.JAVA_BYTE);
    tensors.put(TensorSpec.of(name, dtype, shape), bytes);
  }

  private static float[] floats(TestTensors.Tensor tensor) {
    short[] upper = tensor.data().toArray(ValueLayout.JAVA_SHORT_UNALIGNED);
    float[] out = new float[upper.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = Float.intBitsToFloat(upper[i] << 16);
    }
    return out;
  }

  /** Names of the packed linears with their floats. */
  Map<String, float[]> decoded() {
    return decoded;
  }

  /** The float model of the decoded weights. */
  Loaded floats(Checkpoint checkpoint) {
    TensorCatalog catalog =
        (name, expected, role) -> {
          TestTensors.Tensor tensor = plain.find(name);
          return tensor == null
              ? null
              : new TensorCatalog.Stored(
                  tensor.shape(),
                  decoded.containsKey(name)
                      ? WeightFormat.F32
                      : WeightFormat.fromName(tensor.dtype()));
        };
    return new Loaded(describe(checkpoint, catalog), this::floats);
  }

  private WeightMatrix floats(WeightRef weight) {
    float[] values = decoded.get(weight.name());
    if (values == null) {
      MemorySegment data = plain.get(weight.name()).data();
      return WeightMatrix.dense(weight.format(), weight.rows(), weight.cols(), data);
    }
    MemorySegment data = Arena.ofAuto().allocate(4L * values.length, 4);
    data.copyFrom(MemorySegment.ofArray(values));
    return WeightMatrix.dense(WeightFormat.F32, weight.rows(), weight.cols(), data);
  }

  private static Program describe(Checkpoint checkpoint, TensorCatalog catalog) {
    return Architectures.forConfig(checkpoint.config())
        .program(checkpoint.config(), catalog, Compatibility.TRANSFORMERS);
  }

  /**
   * A model that can run.
   *
   * @param program one step
   * @param weights its weights
   */
  record Loaded(Program program, WeightSource weights) {

    /** Loads a checkpoint as users do: copies its tensors. */
    static Loaded of(Checkpoint checkpoint, CheckpointWeights catalog) {
      try (CheckpointReader reader = checkpoint.reader(bytes -> {})) {
        return of(
            checkpoint,
            catalog,
            (tensor, arena) -> {
              MemorySegment target = arena.allocate(tensor.byteLength());
              reader.read(tensor, target);
              return target;
            });
      }
    }

    /** Loads a checkpoint whose files are mapped. */
    static Loaded mapped(Checkpoint checkpoint, CheckpointWeights catalog) {
      MappedCheckpoint files = new MappedCheckpoint(checkpoint.files(), Arena.ofAuto());
      return of(checkpoint, catalog, (tensor, arena) -> files.segment(tensor));
    }

    private static Loaded of(
        Checkpoint checkpoint, CheckpointWeights catalog, CheckpointWeights.Segments segments) {
      Program program = describe(checkpoint, catalog);
      Map<String, WeightMatrix> read = new HashMap<>();
      for (WeightRef weight : catalog.inFileOrder(program.weights())) {
        read.put(weight.name(), catalog.read(weight, segments, Arena.ofAuto()));
      }
      return new Loaded(program, weight -> read.get(weight.name()));
    }
  }
}
