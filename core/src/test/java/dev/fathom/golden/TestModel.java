package dev.fathom.golden;

import dev.fathom.arch.Architecture;
import dev.fathom.arch.Architectures;
import dev.fathom.arch.Compatibility;
import dev.fathom.arch.TensorCatalog;
import dev.fathom.backend.WeightSource;
import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.Mxfp4Layout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A checkpoint in memory, described by its architecture. */
public final class TestModel implements WeightSource {

  private static final int BLOCK = 128;

  private final TestTensors tensors = new TestTensors();
  private final Program program;
  private final List<Program> drafts;

  private final byte[] config;
  private final List<byte[]> files;
  private final Map<String, String> aliases;
  private final Map<String, float[]> replaced;

  private TestModel(byte[] config, List<byte[]> files) {
    this(config, files, Map.of());
  }

  /** Aliases give stored tensors further names. */
  private TestModel(byte[] config, List<byte[]> files, Map<String, String> aliases) {
    this(config, files, aliases, Map.of());
  }

  private TestModel(
      byte[] config,
      List<byte[]> files,
      Map<String, String> aliases,
      Map<String, float[]> replaced) {
    this.config = config;
    this.files = files;
    this.aliases = aliases;
    this.replaced = replaced;
    files.forEach(tensors::add);
    aliases.forEach((alias, name) -> tensors.alias(alias, name));
    ModelConfig parsed = ModelConfig.parse(config, "config.json");
    TensorCatalog catalog =
        (name, expected, role) -> {
          TestTensors.Tensor tensor = tensors.find(name);
          TensorCatalog.Stored stored = tensor == null ? null : stored(tensor);
          return stored == null || !replaced.containsKey(name)
              ? stored
              : new TensorCatalog.Stored(stored.shape(), WeightFormat.F32);
        };
    Architecture architecture = Architectures.forConfig(parsed);
    this.program = architecture.program(parsed, catalog, Compatibility.TRANSFORMERS);
    this.drafts = architecture.mtpPrograms(parsed, catalog, Compatibility.TRANSFORMERS);
  }

  /** Reads a model of the test resources. */
  static TestModel ofResource(String folder) {
    return new TestModel(
        resource(folder + "/config.json"), List.of(resource(folder + "/model.safetensors")));
  }

  /**
   * Reads a model of the test resources under another configuration.
   *
   * @param config changes the text of config.json
   * @param aliases further names of stored tensors
   */
  static TestModel variant(
      String folder, UnaryOperator<String> config, Map<String, String> aliases) {
    String text = new String(resource(folder + "/config.json"), StandardCharsets.UTF_8);
    return new TestModel(
        config.apply(text).getBytes(StandardCharsets.UTF_8),
        List.of(resource(folder + "/model.safetensors")),
        aliases);
  }

  /** Takes a configuration and a file of weights. */
  static TestModel of(byte[] config, byte[] weights) {
    return new TestModel(config, List.of(weights));
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

  /** Returns this model with other values of some weights, as float32. */
  TestModel with(Map<String, float[]> values) {
    return new TestModel(config, files, aliases, Map.copyOf(values));
  }

  /** Looks for a path in this folder and all above it. */
  static @Nullable Path above(String relative) {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      if (Files.exists(at.resolve(relative))) {
        return at.resolve(relative);
      }
    }
    return null;
  }

  /** Lists the folders of a folder. */
  static List<Path> folders(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(Files::isDirectory).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns the model_type of a checkpoint. */
  static String modelType(Path folder) {
    return ModelConfig.parse(read(folder.resolve("config.json")), "config.json").modelType();
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

  /** The modules of multi-token prediction that the checkpoint stores. */
  List<Program> drafts() {
    return drafts;
  }

  /** The model's step and its drafts. */
  List<Program> programs() {
    return Stream.concat(Stream.of(program), drafts.stream()).toList();
  }

  private static TensorCatalog.Stored stored(TestTensors.Tensor tensor) {
    return switch (tensor.dtype()) {
      case "I8" ->
          new TensorCatalog.Stored(
              List.of(tensor.shape().get(0), 2 * tensor.shape().get(1)), WeightFormat.MXFP4);
      case "I64" -> new TensorCatalog.Stored(tensor.shape(), WeightFormat.F32);
      default -> new TensorCatalog.Stored(tensor.shape(), WeightFormat.fromName(tensor.dtype()));
    };
  }

  @Override
  public WeightMatrix read(WeightRef weight) {
    float[] values = replaced.get(weight.name());
    if (values != null) {
      MemorySegment data = Arena.ofAuto().allocate(4L * values.length, 4);
      data.copyFrom(MemorySegment.ofArray(values));
      return WeightMatrix.dense(WeightFormat.F32, weight.rows(), weight.cols(), data);
    }
    TestTensors.Tensor tensor = tensors.get(weight.name());
    int rows = weight.rows();
    int cols = weight.cols();
    return switch (tensor.dtype()) {
      case "F8_E4M3" ->
          WeightMatrix.blockFp8(
              BlockScaleLayout.square(rows, cols, BLOCK), tensor.data(), scales(weight.name()));
      case "I8" ->
          WeightMatrix.mxfp4(
              new Mxfp4Layout(rows, cols), tensor.data(), tensors.get(scale(weight.name())).data());
      case "I64" -> WeightMatrix.dense(WeightFormat.F32, rows, cols, tensor.longsAsFloats());
      default -> WeightMatrix.dense(weight.format(), rows, cols, tensor.data());
    };
  }

  /** Float32 multipliers: V3's as they are, V4's exponent bytes 2^(b - 127). */
  private MemorySegment scales(String weight) {
    TestTensors.Tensor plain = tensors.find(weight + "_scale_inv");
    return plain == null ? tensors.get(scale(weight)).exponentsAsFloats() : plain.data();
  }

  private static String scale(String weight) {
    return weight.substring(0, weight.length() - ".weight".length()) + ".scale";
  }
}
