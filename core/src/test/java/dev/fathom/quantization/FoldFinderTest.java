package dev.fathom.quantization;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.offset;

import dev.fathom.arch.WeightRole;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.SafetensorsWriter;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.RowReader;
import dev.fathom.quant.WeightSearch;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FoldFinderTest {

  @TempDir Path temp;

  /** What a fold divides and multiplies must cancel, whatever the factors. */
  @ParameterizedTest
  @CsvSource({
    "v3, 56",
    "v2, 56",
    "v2_lite, 53",
    "v32, 56",
    "llama3_rope, 8",
    "qwen2, 8",
    "qwen3_yarn, 8"
  })
  void scalingEveryFoldLeavesTheModelAsItWas(String golden, int atLeast) throws IOException {
    Path source = TinyCheckpoint.write(golden, temp.resolve("source"));
    Checkpoint checkpoint = Checkpoint.open(source);
    CheckpointWeights catalog = new CheckpointWeights(checkpoint);
    SourceModel model = new SourceModel(checkpoint, catalog);
    FoldFinder.Found found =
        FoldFinder.in(model.program(), weight -> model.role(weight) == WeightRole.LINEAR);
    assertThat(found.folds().size()).isGreaterThanOrEqualTo(Math.min(atLeast, 8));

    Path folded = rewrite(source, checkpoint, catalog, model, randomFactors(found));

    int[] tokens = TinyCheckpoint.sequences(1, 40).getFirst();
    float[] want = TinyCheckpoint.finalHidden(source, tokens);
    float[] got = TinyCheckpoint.finalHidden(folded, tokens);
    for (int i = 0; i < want.length; i++) {
      assertThat(got[i]).as("element %d", i).isCloseTo(want[i], offset(2e-3f));
    }
  }

  private static Factors randomFactors(FoldFinder.Found found) {
    SplittableRandom random = new SplittableRandom(5);
    Factors factors = new Factors();
    for (Fold fold : found.folds()) {
      float[] columns = new float[fold.readers().getFirst().cols()];
      int[] rows = fold.producer().rows();
      Map<Integer, Float> byRow = new HashMap<>();
      for (int c = 0; c < columns.length; c++) {
        float drawn = (float) Math.scalb(1 + random.nextDouble(), random.nextInt(-1, 1));
        columns[c] = rows == null ? drawn : byRow.computeIfAbsent(rows[c], r -> drawn);
      }
      AwqTuning.apply(fold, columns, factors);
    }
    return factors;
  }

  /** Writes every weight with its factors, unquantized. */
  private Path rewrite(
      Path source,
      Checkpoint checkpoint,
      CheckpointWeights catalog,
      SourceModel model,
      Factors factors)
      throws IOException {
    Path folded = Files.createDirectories(temp.resolve("folded"));
    Files.copy(source.resolve("config.json"), folded.resolve("config.json"));
    QuantizationRecipe keepAll = QuantizationRecipe.awq(32).keeping("*");
    List<TargetPlan.Item> items = new ArrayList<>();
    new TargetPlan(checkpoint, catalog, keepAll, model).shards(factors).forEach(items::addAll);
    Map<String, MemorySegment> bytes = new HashMap<>();
    List<TensorSpec> tensors = new ArrayList<>();
    try (Arena arena = Arena.ofConfined();
        var reader = checkpoint.reader(read -> {})) {
      for (TargetPlan.Item item : items) {
        TensorSpec tensor = item.tensors().getFirst();
        tensors.add(tensor);
        WeightRef weight = item.weight();
        TargetForm form = item.form();
        if (weight == null || form == null) {
          MemorySegment copy = arena.allocate(tensor.byteLength(), 8);
          reader.read(item.sources().getFirst(), copy);
          bytes.put(tensor.name(), copy);
        } else {
          float[] values = TinyCheckpoint.decode(checkpoint, catalog, weight);
          RowReader rows =
              factors.apply(weight.name(), weight.cols(), RowReader.of(values, weight.cols()));
          bytes.put(tensor.name(), form.make(rows, WeightSearch.NONE, arena).getFirst());
        }
      }
      SafetensorsWriter.write(
          folded.resolve("model.safetensors"),
          tensors,
          SafetensorsWriter.PYTORCH,
          (tensor, sink) -> sink.write(bytes.get(tensor.name())));
    }
    return folded;
  }

  @Test
  void aKeptReaderAsksForPowersOfTwo() throws IOException {
    Path source = TinyCheckpoint.write("v3", temp.resolve("source"));
    Checkpoint checkpoint = Checkpoint.open(source);
    CheckpointWeights catalog = new CheckpointWeights(checkpoint);
    SourceModel model = new SourceModel(checkpoint, catalog);
    FoldFinder.Found found =
        FoldFinder.in(
            model.program(),
            weight ->
                model.role(weight) == WeightRole.LINEAR && !weight.name().contains("q_a_proj"));
    Fold attention = found.folds().getFirst();
    assertThat(attention.powersOfTwo()).isTrue();
    assertThat(attention.compensated())
        .extracting(WeightRef::name)
        .containsExactly("model.layers.0.self_attn.q_a_proj.weight");
    assertThat(
            found.folds().stream()
                .filter(fold ->
                    fold.compensated().stream()
                        .anyMatch(weight -> weight.name().endsWith("mlp.gate.weight"))))
        .isNotEmpty()
        .noneMatch(Fold::powersOfTwo);
  }

  @Test
  void clampedProductsAndFinalNormsAreNotFolded() throws IOException {
    Path source = TinyCheckpoint.write("v4", temp.resolve("source"));
    Checkpoint checkpoint = Checkpoint.open(source);
    CheckpointWeights catalog = new CheckpointWeights(checkpoint);
    SourceModel model = new SourceModel(checkpoint, catalog);
    FoldFinder.Found found =
        FoldFinder.in(model.program(), weight -> model.role(weight) == WeightRole.LINEAR);
    assertThat(found.folds())
        .allMatch(fold -> fold.producer().rows() == null)
        .noneMatch(fold -> fold.producer().weight().name().equals("norm.weight"));
  }

  @ParameterizedTest
  @CsvSource({
    "a, a, true",
    "*, anything, true",
    "*.kv_b_proj, model.layers.0.self_attn.kv_b_proj, true",
    "*.kv_b_proj, kv_b_proj, false",
    "model.layers.0.*, model.layers.01.mlp, false",
    "a*b*c, aXbYbZc, true",
    "a*b*c, aXbYbZ, false",
    "ab, a, false",
    "a, ab, false",
    "**, x, true"
  })
  void patternsMatchWholeNames(String pattern, String name, boolean matches) {
    assertThat(NamePattern.matches(pattern, name)).isEqualTo(matches);
  }
}
