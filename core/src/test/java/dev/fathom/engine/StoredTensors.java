package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.arch.TensorCatalog;
import dev.fathom.arch.WeightRole;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.CheckpointReader;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.ShardedWriter;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.error.ModelConfigException;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.io.TempDir;

/** Writes tensors into a folder and reads them as weights: what tests of formats start from. */
abstract class StoredTensors {

  @TempDir Path root;

  /** Where the last checkpoint was written; each has a folder of its own. */
  Path folder = Path.of("");

  private int numCheckpoints;

  final Map<TensorSpec, byte[]> tensors = new LinkedHashMap<>();
  long shardBytes = 1 << 20;

  /** Adds a tensor whose bytes are zero and returns them. */
  final ByteBuffer tensor(String name, SafetensorsDtype dtype, long... shape) {
    TensorSpec spec = TensorSpec.of(name, dtype, shape);
    byte[] bytes = new byte[Math.toIntExact(spec.byteLength())];
    tensors.put(spec, bytes);
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  final CheckpointWeights open(String quantization) {
    return new CheckpointWeights(checkpoint(quantization));
  }

  final Checkpoint checkpoint(String quantization) {
    if (tensors.isEmpty()) {
      tensor("x", SafetensorsDtype.F32, 1);
    }
    folder = root.resolve("checkpoint" + numCheckpoints++);
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    ShardedWriter.plan(List.copyOf(tensors.keySet()), shardBytes)
        .write(folder, (spec, sink) -> sink.write(MemorySegment.ofArray(tensors.get(spec))));
    String section =
        quantization.isEmpty() ? "" : ",\"quantization_config\":{" + quantization + "}";
    try {
      Files.writeString(folder.resolve("config.json"), "{\"model_type\":\"m\"" + section + "}");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return Checkpoint.open(folder);
  }

  static TensorCatalog.Stored find(CheckpointWeights weights, int out, int in) {
    TensorCatalog.Stored stored = weights.find("a.weight", List.of(out, in), WeightRole.LINEAR);
    return Objects.requireNonNull(stored);
  }

  static WeightMatrix read(CheckpointWeights weights, Checkpoint checkpoint, WeightRef weight) {
    try (CheckpointReader reader = checkpoint.reader(bytes -> {})) {
      return weights.read(
          weight,
          (tensor, arena) -> {
            MemorySegment target = arena.allocate(tensor.byteLength());
            reader.read(tensor, target);
            return target;
          },
          Arena.ofAuto());
    }
  }

  final WeightMatrix read(String quantization, WeightFormat format, int out, int in) {
    Checkpoint checkpoint = checkpoint(quantization);
    CheckpointWeights weights = new CheckpointWeights(checkpoint);
    TensorCatalog.Stored stored = find(weights, out, in);
    assertThat(stored.format()).isEqualTo(format);
    assertThat(stored.shape()).containsExactly((long) out, (long) in);
    return read(weights, checkpoint, new WeightRef("a.weight", List.of(out, in), format));
  }

  static void assertRefused(CheckpointWeights weights, String name, String message) {
    assertThatThrownBy(() -> weights.find(name, List.of(4, 4), WeightRole.LINEAR))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining(message);
  }
}
