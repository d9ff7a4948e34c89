package dev.fathom.quantization;

import dev.fathom.backend.reference.ReferenceProvider;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.SafetensorsFile;
import dev.fathom.checkpoint.ShardedWriter;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.program.Program;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Goldens written to folders, and what the tests ask of a folder. */
final class TinyCheckpoint {

  static final int VOCAB = 97;

  private TinyCheckpoint() {}

  /** Writes a golden as one file. */
  static Path write(String golden, Path folder) throws IOException {
    Files.createDirectories(folder);
    for (String file : List.of("config.json", "model.safetensors")) {
      try (InputStream in =
          Objects.requireNonNull(
              TinyCheckpoint.class.getResourceAsStream("/goldens/" + golden + "/" + file))) {
        Files.copy(in, folder.resolve(file));
      }
    }
    Files.writeString(folder.resolve("tokenizer_config.json"), "{}");
    return folder;
  }

  /** Writes a golden as several files of at most so many bytes. */
  static Path writeSharded(String golden, Path folder, long maxShardBytes) throws IOException {
    Path whole = write(golden, folder.resolveSibling(folder.getFileName() + "-whole"));
    Files.createDirectories(folder);
    Files.copy(whole.resolve("config.json"), folder.resolve("config.json"));
    SafetensorsFile file = SafetensorsFile.open(whole.resolve("model.safetensors"));
    Checkpoint checkpoint = Checkpoint.open(whole);
    try (Arena arena = Arena.ofConfined();
        var reader = checkpoint.reader(bytes -> {})) {
      ShardedWriter.plan(file.tensors().stream().map(TensorSpec::of).toList(), maxShardBytes)
          .write(
              folder,
              (tensor, sink) -> {
                TensorInfo info = checkpoint.tensor(tensor.name());
                MemorySegment bytes = arena.allocate(info.byteLength(), 8);
                reader.read(info, bytes);
                sink.write(bytes);
              });
    }
    return folder;
  }

  /** Decodes a weight. */
  static float[] decode(Checkpoint checkpoint, CheckpointWeights catalog, WeightRef weight) {
    try (Arena arena = Arena.ofConfined();
        var reader = checkpoint.reader(bytes -> {})) {
      WeightMatrix matrix =
          catalog.read(
              weight,
              (tensor, owner) -> {
                MemorySegment bytes = owner.allocate(Math.max(1, tensor.byteLength()), 64);
                reader.read(tensor, bytes.asSlice(0, tensor.byteLength()));
                return bytes.asSlice(0, tensor.byteLength());
              },
              arena);
      float[] values = new float[matrix.rows() * matrix.cols()];
      for (int r = 0; r < matrix.rows(); r++) {
        matrix.decodeRow(r, values, r * matrix.cols());
      }
      return values;
    }
  }

  /** Tokens that visit most of the vocabulary. */
  static List<int[]> sequences(int count, int len) {
    List<int[]> sequences = new ArrayList<>();
    for (int s = 0; s < count; s++) {
      int[] ids = new int[len];
      for (int i = 0; i < len; i++) {
        ids[i] = (7 + 31 * s + 13 * i * (i + s)) % VOCAB;
      }
      sequences.add(ids);
    }
    return sequences;
  }

  /** Computes the final hidden states of a sequence on the reference: [T, C]. */
  static float[] finalHidden(Path folder, int[] tokens) {
    Checkpoint checkpoint = Checkpoint.open(folder);
    CheckpointWeights catalog = new CheckpointWeights(checkpoint);
    Program program = new SourceModel(checkpoint, catalog).program();
    Value last =
        program.outputs().entrySet().stream()
            .filter(output -> output.getKey().startsWith("hidden."))
            .reduce((first, second) -> second)
            .orElseThrow()
            .getValue();
    PhaseClock clock = new PhaseClock(QuantizationListener.NONE);
    Calibration run = new Calibration(program, List.of(last), tokens.length, clock);
    try (var backend = new ReferenceProvider().create(1)) {
      Map<Value, Samples> samples = run.run(checkpoint, catalog, backend, List.of(tokens));
      return Objects.requireNonNull(samples.get(last)).rows();
    }
  }
}
