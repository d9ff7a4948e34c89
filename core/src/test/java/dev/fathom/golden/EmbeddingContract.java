package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.backend.Backend;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.PlacedWeight;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.contract.ContractPromises;
import dev.fathom.engine.Engine;
import dev.fathom.engine.EngineOptions;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * Hidden states that the engine pools are those of transformers after the final norm, whatever the
 * size of steps and the company.
 */
public abstract class EmbeddingContract extends ContractPromises {

  private static final Tokenizer TOKENIZER =
      Tokenizer.load(Path.of("..", "examples", "models", "sample", "tokenizer.json"));

  @Test
  void pooledStatesAreThoseOfTransformersInStepsOfAnySize() {
    check(Golden.of(Golden.TRANSFORMERS));
  }

  @Test
  void pooledStatesOfFurtherFamiliesAreThoseOfTransformers() {
    Path folder = TestModel.above("shared/fixtures/transformers");
    assumeTrue(folder != null, "skipped: ../shared/fixtures/transformers is absent");
    for (String name : List.of("deepseek_v2", "qwen2", "llama")) {
      for (Path found : TestModel.folders(folder)) {
        if (TestModel.modelType(found).equals(name)) {
          byte[] expected = TestModel.read(found.resolve("expected.safetensors"));
          check(Golden.transformers(name, TestModel.ofFolder(found), expected));
        }
      }
    }
  }

  private void check(Golden golden) {
    float[] hidden = golden.hidden().getLast();
    int[] ids = golden.tokens();
    int width = hidden.length / ids.length;
    List<int[]> texts = new ArrayList<>();
    texts.add(ids);
    for (int len : new int[] {1, 5, ids.length - 1, 2}) {
      texts.add(Arrays.copyOf(ids, len));
    }
    float[][] first = {};
    for (int step : new int[] {64, 7, 3}) {
      try (Backend backend = provider().create(2);
          Engine engine = engine(golden, backend, step)) {
        String output = "hidden." + (golden.hidden().size() - 1);
        float[][] last = engine.hidden(texts, output, false, null);
        float[][] mean = engine.hidden(texts, output, true, null);
        for (int i = 0; i < texts.size(); i++) {
          int len = texts.get(i).length;
          near(golden, last[i], Arrays.copyOfRange(hidden, (len - 1) * width, len * width), hidden);
          near(golden, mean[i], mean(hidden, len, width), hidden);
          if (bitIdentical()) {
            assertThat(engine.hidden(List.of(texts.get(i)), output, true, null)[0])
                .isEqualTo(mean[i]);
          }
        }
        first = first.length == 0 ? mean : first;
        if (bitIdentical()) {
          assertThat(mean).isDeepEqualTo(first);
        }
        assertThat(engine.usedBlocks()).isZero();
      }
    }
  }

  private static float[] mean(float[] hidden, int len, int width) {
    float[] mean = new float[width];
    for (int j = 0; j < width; j++) {
      double sum = 0;
      for (int t = 0; t < len; t++) {
        sum += hidden[t * width + j];
      }
      mean[j] = (float) (sum / len);
    }
    return mean;
  }

  private void near(Golden golden, float[] got, float[] want, float[] all) {
    float largest = 0;
    for (float value : all) {
      largest = Math.max(largest, Math.abs(value));
    }
    assertThat(got.length).isEqualTo(want.length);
    for (int j = 0; j < want.length; j++) {
      assertThat((double) got[j])
          .as("%s[%d]", golden.name(), j)
          .isCloseTo(want[j], offset(tolerance(2e-5) * largest));
    }
  }

  private static PlacedWeights place(Golden golden, Backend backend) {
    Map<String, PlacedWeight> placed = new HashMap<>();
    for (WeightRef weight : golden.model().program().weights()) {
      placed.put(weight.name(), backend.place(weight, golden.model().read(weight)));
    }
    return new PlacedWeights(placed);
  }

  private static Engine engine(Golden golden, Backend backend, int step) {
    Program program = golden.model().program();
    int context = golden.tokens().length + 1;
    int block = 4;
    int blocks = Math.ceilDiv(context, block);
    int sequences = Math.min(3, step);
    EngineOptions options =
        new EngineOptions(
            context, sequences, step, step, step, block, 2 * blocks + 1, 10, program.vocabSize());
    CompileOptions compile =
        new CompileOptions(
            step,
            sequences,
            step,
            block,
            2 * blocks + 1,
            blocks,
            KvFormat.F32,
            LatentForm.AUTO,
            Set.of("hidden." + (golden.hidden().size() - 1)));
    return new Engine(
        options, backend.compile(List.of(program), place(golden, backend), compile), TOKENIZER);
  }
}
