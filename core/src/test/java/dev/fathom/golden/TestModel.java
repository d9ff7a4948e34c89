package dev.fathom.golden;

import dev.fathom.arch.Architectures;
import dev.fathom.arch.Compatibility;
import dev.fathom.arch.TensorCatalog;
import dev.fathom.backend.WeightSource;
import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** A checkpoint in memory, described by its architecture. */
public final class TestModel implements WeightSource {

  private static final int BLOCK = 128;

  private final TestTensors tensors = new TestTensors();
  private final Program program;

  private TestModel(byte[] config, List<byte[]> files) {
    files.forEach(tensors::add);
    ModelConfig parsed = ModelConfig.parse(config, "config.json");
    TensorCatalog catalog =
        (name, expected, role) -> {
          TestTensors.Tensor tensor = tensors.find(name);
          return tensor == null ? null : new TensorCatalog.Stored(tensor.shape(), tensor.format());
        };
    this.program =
        Architectures.forConfig(parsed).program(parsed, catalog, Compatibility.TRANSFORMERS);
  }

  /** Reads a model of the test resources. */
  static TestModel ofResource(String folder) {
    return new TestModel(
        resource(folder + "/config.json"), List.of(resource(folder + "/model.safetensors")));
  }

  /** Reads a checkpoint of one or more safetensors files. */
  static TestModel ofFolder(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      List<byte[]> shards =
          files
              .filter(f -> f.getFileName().toString().matches("model.*\\.safetensors"))
              .sorted()
              .map(TestModel::read)
              .toList();
      return new TestModel(read(folder.resolve("config.json")), shards);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static byte[] read(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static byte[] resource(String name) {
    try (InputStream in = TestModel.class.getResourceAsStream("/" + name)) {
      if (in == null) {
        throw new IllegalArgumentException("no resource " + name);
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The model's step. */
  public Program program() {
    return program;
  }

  @Override
  public WeightMatrix read(WeightRef weight) {
    TestTensors.Tensor tensor = tensors.get(weight.name());
    WeightFormat format = tensor.format();
    if (format == WeightFormat.FP8_E4M3) {
      TestTensors.Tensor scales = tensors.get(weight.name() + "_scale_inv");
      BlockScaleLayout layout = BlockScaleLayout.square(weight.rows(), weight.cols(), BLOCK);
      return WeightMatrix.blockFp8(layout, tensor.data(), scales.data());
    }
    return WeightMatrix.dense(format, weight.rows(), weight.cols(), tensor.data());
  }
}
