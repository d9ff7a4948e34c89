package dev.fathom.quantization;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.arch.WeightRole;
import dev.fathom.backend.reference.ReferenceProvider;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.ResumableFolder;
import dev.fathom.checkpoint.SafetensorsFile;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.error.CheckpointException;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.ModelConfigException;
import dev.fathom.program.WeightRef;
import dev.fathom.quantization.QuantizationRecipe.Layout;
import dev.fathom.quantization.QuantizationRecipe.Refinement;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class CheckpointQuantizerTest {

  private static final CalibrationText SHORT = CalibrationText.OWN.samples(64);

  @TempDir Path temp;

  /**
   * A recipe, and how far decoded weights may be off: root mean square over that of the weights.
   */
  record Case(String golden, QuantizationRecipe recipe, double error, String method) {}

  static Stream<Case> cases() {
    return Stream.of(
        new Case("v3", QuantizationRecipe.fp8(), 0.04, "fp8"),
        new Case("v3", QuantizationRecipe.int8(), 0.012, "compressed-tensors"),
        new Case("qwen2", QuantizationRecipe.int8(32), 0.012, "compressed-tensors"),
        new Case("v2", QuantizationRecipe.int4(32), 0.13, "compressed-tensors"),
        new Case("v3_fp8", QuantizationRecipe.int4(32).symmetric(), 0.15, "compressed-tensors"),
        new Case("v32", QuantizationRecipe.int8(), 0.012, "compressed-tensors"),
        new Case("v4", QuantizationRecipe.int8(), 0.012, "compressed-tensors"),
        new Case("v4_fp4", QuantizationRecipe.int8(), 0.02, "compressed-tensors"),
        new Case("llama3_rope", QuantizationRecipe.fp8().withHead(), 0.04, "fp8"));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void theTargetLoadsAgainAndHoldsTheWeightsOfTheSource(Case c) throws IOException {
    Path source = TinyCheckpoint.write(c.golden(), temp.resolve("source"));
    Path target = temp.resolve("target");
    QuantizationReport report = quantize(source, target, c.recipe(), QuantizationListener.NONE);

    assertThat(report.layout()).isEqualTo(c.method());
    Checkpoint was = Checkpoint.open(source);
    Checkpoint is = Checkpoint.open(target);
    assertThat(is.config().quantization()).isNotNull();
    assertThat(report.targetBytes()).isEqualTo(is.weightBytes());
    CheckpointWeights before = new CheckpointWeights(was);
    CheckpointWeights after = new CheckpointWeights(is);
    SourceModel model = new SourceModel(was, before);
    Map<String, WeightRef> now = new TreeMap<>();
    new SourceModel(is, after).weights().forEach(weight -> now.put(weight.name(), weight));
    int quantized = 0;
    for (WeightRef weight : model.weights()) {
      float[] want = TinyCheckpoint.decode(was, before, weight);
      WeightRef stored = now.get(weight.name());
      float[] got = TinyCheckpoint.decode(is, after, stored);
      boolean linear =
          (model.role(weight) == WeightRole.LINEAR && !weight.isVector())
              || (c.recipe().quantizesHead() && weight.name().equals("lm_head.weight"));
      if (linear) {
        quantized++;
        assertThat(stored.format()).as(weight.name()).isNotEqualTo(weight.format());
        assertThat(relativeError(want, got)).as(weight.name()).isPositive().isLessThan(c.error());
      } else {
        assertThat(got).as(weight.name()).isEqualTo(want);
      }
    }
    assertThat(report.numQuantized()).isEqualTo(quantized).isPositive();
    assertThat(target.resolve("tokenizer_config.json")).exists();
    assertThat(target.resolve(ResumableFolder.JOURNAL)).doesNotExist();
  }

  private static double relativeError(float[] want, float[] got) {
    double error = 0;
    double size = 0;
    for (int i = 0; i < want.length; i++) {
      error += Math.pow(want[i] - got[i], 2);
      size += Math.pow(want[i], 2);
    }
    return Math.sqrt(error / size);
  }

  private static QuantizationReport quantize(
      Path source, Path target, QuantizationRecipe recipe, QuantizationListener listener) {
    return new CheckpointQuantizer(Checkpoint.open(source), target, recipe, listener)
        .run(() -> TinyCheckpoint.sequences(4, 32), program -> new ReferenceProvider().create(1));
  }

  @Test
  void awqIsCloserToTheModelThanRoundingOnWhatItWasCalibratedOn() throws IOException {
    Path source = TinyCheckpoint.write("llama3_rope", temp.resolve("source"));
    int[] tokens = TinyCheckpoint.sequences(4, 32).get(1);
    float[] want = TinyCheckpoint.finalHidden(source, tokens);
    QuantizationRecipe awq = QuantizationRecipe.awq(32).calibratedOn(SHORT);
    double rtn = distance(source, QuantizationRecipe.int4(32), tokens, want);
    double scaled = distance(source, awq, tokens, want);
    double rounded = distance(source, awq.refinement(Refinement.ROUNDING), tokens, want);
    assertThat(scaled).isLessThan(rtn);
    assertThat(rounded).isLessThan(scaled);
  }

  private double distance(Path source, QuantizationRecipe recipe, int[] tokens, float[] want) {
    Path target = temp.resolve("target-" + recipe.toString().hashCode());
    quantize(source, target, recipe, QuantizationListener.NONE);
    return relativeError(want, TinyCheckpoint.finalHidden(target, tokens));
  }

  @Test
  void awqWritesItsOwnLayoutWhereAllGroupsAreEqual() throws IOException {
    Path source = TinyCheckpoint.write("llama3_rope", temp.resolve("source"));
    QuantizationRecipe recipe =
        QuantizationRecipe.awq(32)
            .calibratedOn(SHORT)
            .layout(Layout.AWQ)
            .keeping("*.layers.0.mlp.gate_proj");
    Path target = temp.resolve("target");
    QuantizationReport report = quantize(source, target, recipe, QuantizationListener.NONE);
    assertThat(report.layout()).isEqualTo("awq");
    Checkpoint is = Checkpoint.open(target);
    String q = "model.layers.0.self_attn.q_proj.";
    assertThat(is.find(q + "qweight")).isNotNull();
    assertThat(is.find(q + "qzeros")).isNotNull();
    assertThat(is.find(q + "scales")).isNotNull();
    assertThat(is.find(q + "weight")).isNull();
    String config = Files.readString(target.resolve("config.json"));
    assertThat(config)
        .contains("\"quant_method\": \"awq\"", "\"version\": \"gemm\"", "\"zero_point\": true")
        .contains("\"model.layers.0.mlp.gate_proj\"");
    // The kept matrix shares its input with scaled ones: powers of two keep it exact in BF16.
    assertThat(is.tensor("model.layers.0.mlp.gate_proj.weight").dtype())
        .isEqualTo(Checkpoint.open(source).tensor("model.layers.0.mlp.gate_proj.weight").dtype());
  }

  @Test
  void matricesThatTheGroupDoesNotDivideTakeTheLargestThatDoes() throws IOException {
    Path source = TinyCheckpoint.write("v3", temp.resolve("source"));
    Path target = temp.resolve("target");
    QuantizationReport report =
        quantize(source, target, QuantizationRecipe.int4(128), QuantizationListener.NONE);
    assertThat(report.notes()).isNotEmpty().anyMatch(note -> note.contains("groups of 32"));
    assertThat(Files.readString(target.resolve("config.json")))
        .contains("\"group_size\": 32", "\"group_size\": 24", "\"ignore\"");
  }

  /** Stops the run when so many bytes were written. */
  private static final class Stop extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  @Test
  void anInterruptedRunLeavesWholeFilesAndIsGoneOnWith() throws IOException {
    Path source = TinyCheckpoint.writeSharded("v3", temp.resolve("source"), 20_000);
    Path clean = temp.resolve("clean");
    QuantizationRecipe recipe = QuantizationRecipe.int4(32);
    QuantizationReport whole = quantize(source, clean, recipe, QuantizationListener.NONE);
    assertThat(whole.numShards()).isGreaterThan(4);
    long total = Checkpoint.open(source).weightBytes();
    Path target = temp.resolve("target");
    for (int stop = 1; stop <= 4; stop++) {
      long limit = stop * total / 5;
      assertThatThrownBy(() ->
              quantize(
                  source,
                  target,
                  recipe,
                  progress -> {
                    if (progress.phase() == QuantizationProgress.Phase.WRITE
                        && progress.done() >= limit) {
                      throw new Stop();
                    }
                  }))
          .isInstanceOf(Stop.class);
      assertThat(target.resolve("config.json")).doesNotExist();
      for (Path file : files(target)) {
        if (file.toString().endsWith(".safetensors")) {
          assertThat(SafetensorsFile.open(file).tensors()).isNotEmpty();
        }
      }
    }
    QuantizationReport last = quantize(source, target, recipe, QuantizationListener.NONE);
    assertThat(last.numResumed()).isPositive().isLessThan(whole.numShards());
    assertThat(names(target)).isEqualTo(names(clean));
    for (Path file : files(clean)) {
      assertThat(target.resolve(file.getFileName())).hasSameBinaryContentAs(file);
    }
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    }
  }

  private static List<String> names(Path folder) throws IOException {
    return files(folder).stream().map(file -> file.getFileName().toString()).toList();
  }

  @Test
  void foldersThatHoldSomethingElseAreRefused() throws IOException {
    Path source = TinyCheckpoint.write("qwen2", temp.resolve("source"));
    QuantizationRecipe recipe = QuantizationRecipe.int8();
    assertThatThrownBy(() -> quantize(source, source, recipe, QuantizationListener.NONE))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("it is the source itself");
    Path used = Files.createDirectory(temp.resolve("used"));
    Files.writeString(used.resolve("notes.txt"), "mine");
    assertThatThrownBy(() -> quantize(source, used, recipe, QuantizationListener.NONE))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("the folder is not empty");
    assertThat(used.resolve("notes.txt")).hasContent("mine");
    Path other = Files.createDirectory(temp.resolve("other"));
    Files.writeString(other.resolve(ResumableFolder.JOURNAL), "recipe: something else\n");
    assertThatThrownBy(() -> quantize(source, other, recipe, QuantizationListener.NONE))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("another run left it unfinished");
  }

  @Test
  void whatIsQuantizedAlreadyIsNotQuantizedAgain() throws IOException {
    Path source = TinyCheckpoint.write("v3", temp.resolve("source"));
    Path once = temp.resolve("once");
    quantize(source, once, QuantizationRecipe.int4(32), QuantizationListener.NONE);
    assertThatThrownBy(() ->
            quantize(
                once, temp.resolve("twice"), QuantizationRecipe.int8(), QuantizationListener.NONE))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining("quant_method=")
        .hasMessageContaining("compressed-tensors");
    Path fp8 = TinyCheckpoint.write("v3_fp8", temp.resolve("fp8"));
    assertThatThrownBy(() ->
            quantize(
                fp8, temp.resolve("again"), QuantizationRecipe.fp8(), QuantizationListener.NONE))
        .isInstanceOf(ModelConfigException.class);
    assertThatThrownBy(() ->
            quantize(
                source,
                temp.resolve("nothing"),
                QuantizationRecipe.int8().keeping("*"),
                QuantizationListener.NONE))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining("at least one linear");
  }

  @Test
  void aWeightThatIsNotANumberIsNamed() throws IOException {
    Path source = TinyCheckpoint.write("qwen2", temp.resolve("source"));
    SafetensorsFile file = SafetensorsFile.open(source.resolve("model.safetensors"));
    TensorInfo tensor =
        file.tensors().stream()
            .filter(t -> t.name().endsWith("layers.1.mlp.up_proj.weight"))
            .findFirst()
            .orElseThrow();
    try (FileChannel channel = FileChannel.open(file.path(), StandardOpenOption.WRITE)) {
      channel.write(java.nio.ByteBuffer.wrap(new byte[] {(byte) 0xc0, 0x7f}), tensor.offset());
    }
    Path target = temp.resolve("target");
    assertThatThrownBy(
            () -> quantize(source, target, QuantizationRecipe.int8(), QuantizationListener.NONE))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("layers.1.mlp.up_proj.weight")
        .hasMessageContaining("must be finite");
    assertThat(target.resolve("model.safetensors")).doesNotExist();
  }

  @Test
  void recipesThatCannotBeFollowedAreRefused() {
    assertThatThrownBy(() -> QuantizationRecipe.int4(48))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("must be one of 32, 64, 128: groupSize=48");
    assertThatThrownBy(() -> QuantizationRecipe.int8(7))
        .hasMessageContaining("0 (per channel), 32, 64, 128: groupSize=7");
    assertThatThrownBy(() -> QuantizationRecipe.int8().layout(Layout.AWQ))
        .hasMessageContaining("layout=AWQ");
    assertThatThrownBy(() -> QuantizationRecipe.fp8().layout(Layout.COMPRESSED_TENSORS))
        .hasMessageContaining("must be AUTO for FP8");
    assertThatThrownBy(() -> QuantizationRecipe.int4(32).refinement(Refinement.ROUNDING))
        .hasMessageContaining("must be NONE for INT4: refinement=ROUNDING");
    assertThatThrownBy(() -> CalibrationText.OWN.samples(0))
        .hasMessageContaining("must be in [1, 65536]: samples=0");
  }

  @Test
  void progressRisesToItsTotalInEachPhase() throws IOException {
    Path source = TinyCheckpoint.write("v3", temp.resolve("source"));
    Map<QuantizationProgress.Phase, Long> last = new TreeMap<>();
    Map<QuantizationProgress.Phase, Long> totals = new TreeMap<>();
    quantize(
        source,
        temp.resolve("target"),
        QuantizationRecipe.awq(32).calibratedOn(SHORT),
        progress -> {
          assertThat(progress.done())
              .isGreaterThanOrEqualTo(last.getOrDefault(progress.phase(), 0L));
          last.put(progress.phase(), progress.done());
          totals.put(progress.phase(), progress.total());
        });
    assertThat(last.keySet()).containsExactly(QuantizationProgress.Phase.values());
    assertThat(last).isEqualTo(totals);
    assertThat(totals.get(QuantizationProgress.Phase.WRITE))
        .isEqualTo(Checkpoint.open(source).weightBytes());
  }
}
