package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.backend.reference.ReferenceProvider;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.golden.PackedCheckpoint.Loaded;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Goldens in published storage, loaded as users load them instead of by the tests' own reader. */
class LoadedGoldenTest {

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"v3", "v3_fp8", "v4", "v4_fp4"})
  void aLoadedCheckpointHasTheLogitsOfTransformers(String name) throws IOException {
    for (String file : new String[] {"config.json", "model.safetensors"}) {
      Files.write(folder.resolve(file), TestModel.resource("goldens/" + name + "/" + file));
    }
    Golden golden = Golden.of(name);
    Checkpoint checkpoint = Checkpoint.open(folder);
    CheckpointWeights catalog = new CheckpointWeights(checkpoint);
    Loaded loaded = Loaded.of(checkpoint, catalog);

    assertThat(loaded.program().toString()).isEqualTo(golden.model().program().toString());
    assertThat(formats(loaded)).isEqualTo(formats(name));
    long stored = loaded.program().weights().stream().mapToLong(catalog::storedBytes).sum();
    assertThat(stored).isEqualTo(checkpoint.weightBytes());
    float[] got = logits(loaded, golden);
    int vocab = loaded.program().vocabSize();
    golden
        .logits()
        .forEach((position, want) -> {
          for (int v = 0; v < vocab; v++) {
            assertThat(got[position * vocab + v])
                .as("logit %d of position %d", v, position)
                .isCloseTo(want[v], offset(2e-4f));
          }
        });
  }

  private static Set<WeightFormat> formats(Loaded loaded) {
    return loaded.program().weights().stream().map(WeightRef::format).collect(Collectors.toSet());
  }

  private static Set<WeightFormat> formats(String name) {
    return switch (name) {
      case "v3_fp8" -> Set.of(WeightFormat.F32, WeightFormat.BF16, WeightFormat.FP8_E4M3);
      case "v4_fp4" ->
          Set.of(WeightFormat.F32, WeightFormat.BF16, WeightFormat.FP8_E4M3, WeightFormat.MXFP4);
      default -> Set.of(WeightFormat.F32, WeightFormat.BF16);
    };
  }

  private static float[] logits(Loaded loaded, Golden golden) {
    try (Rig rig =
        new Rig(
            new ReferenceProvider(),
            loaded.program(),
            loaded.weights(),
            GoldenContract.capacities(golden))) {
      int[] tokens = golden.tokens();
      return rig.run(Seq.all(rig.blocksFor(tokens.length), 0, tokens)).logits();
    }
  }
}
