package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.contract.Capacities;
import dev.fathom.backend.contract.ContractPromises;
import dev.fathom.backend.contract.Near;
import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.checkpoint.PeftCheckpoint;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.engine.PeftAdapter;
import dev.fathom.program.Linears;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * LoRA adapters on every linear of every family, read from folders as PEFT writes them: two of them
 * and none in one step give what models with merged weights give, and nobody disturbs anybody.
 */
public abstract class AdapterContract extends ContractPromises {

  private static final int MAX_TOKENS = 20;

  /** Merged weights are rounded once more, and sums run in another order. */
  private static final double MAX_DIFFERENCE = 5e-5;

  @TempDir Path folder;

  @TestFactory
  Stream<DynamicTest> twoAdaptersAndNoneInOneStepAreTheModelsWithMergedWeights() {
    return Stream.concat(Golden.SPEC.stream(), Stream.of(Golden.TRANSFORMERS))
        .map(name -> dynamicTest(name, () -> check(Golden.of(name))));
  }

  private void check(Golden golden) {
    TestModel model = golden.model();
    for (Op op : model.program().ops()) {
      assumeTrue(supports(op.getClass()), () -> "the backend does not have " + op.kind());
    }
    Map<String, WeightRef> all = adaptable(model.program());
    Map<String, WeightRef> some = everyThird(all);
    PeftFolder red =
        new PeftFolder(
            folder.resolve(golden.name() + "-red"), all, 4, 3, "weight", SafetensorsDtype.BF16);
    PeftFolder blue =
        new PeftFolder(
            folder.resolve(golden.name() + "-blue"),
            some,
            9,
            18,
            "default.weight",
            SafetensorsDtype.F32);
    int[] a = Arrays.copyOf(golden.tokens(), Math.min(MAX_TOKENS, golden.tokens().length));
    int[] b = Arrays.copyOfRange(a, 2, a.length - 1);
    float[] none;
    float[] together;
    try (Rig rig = rig(model)) {
      none = rig.run(Seq.all(blocks(rig, a, 0), 0, a)).logits();
      rig.executable().setAdapter(5, read(golden, "red", model.program()));
      rig.executable().setAdapter(0, read(golden, "blue", model.program()));
      together =
          rig.run(
                  Seq.all(blocks(rig, a, 0), 0, a).adapter(5),
                  Seq.all(blocks(rig, a, 1), 0, a),
                  Seq.all(blocks(rig, a, 2), 0, a).adapter(0),
                  Seq.all(blocks(rig, a, 3), 0, b).adapter(5))
              .logits();
      alone(rig, a, together);
    }
    int n = a.length;
    int vocab = model.program().vocabSize();
    near(golden, "red", rows(together, 0, n, vocab), merged(model, red, a));
    same(golden, "none", rows(together, n, 2 * n, vocab), none);
    near(golden, "blue", rows(together, 2 * n, 3 * n, vocab), merged(model, blue, a));
    near(golden, "red b", rows(together, 3 * n, 4 * n - 3, vocab), merged(model, red, b));
    assertThat(rows(together, 0, n, vocab)).isNotEqualTo(none);
    assertThat(rows(together, 2 * n, 3 * n, vocab)).isNotEqualTo(none);
  }

  /** The first sequence alone, and in chunks of three. */
  private void alone(Rig rig, int[] a, float[] together) {
    int vocab = together.length / (4 * a.length - 3);
    float[] want = rows(together, 0, a.length, vocab);
    int[] blocks = blocks(rig, a, 1);
    float[] got = rig.run(Seq.all(blocks, 0, a).adapter(5)).logits();
    Near.same("alone", got, want, bitIdentical(), tolerance(1e-5));
    for (int from = 0; from < a.length; from += 3) {
      int to = Math.min(a.length, from + 3);
      Seq chunk = Seq.all(blocks, from, Arrays.copyOfRange(a, from, to)).adapter(5);
      float[] part = rig.run(chunk).logits();
      Near.same("chunk", part, rows(want, from, to, vocab), bitIdentical(), tolerance(1e-5));
    }
  }

  private Adapter read(Golden golden, String name, Program program) {
    PeftCheckpoint checkpoint = PeftCheckpoint.open(folder.resolve(golden.name() + "-" + name));
    PeftAdapter adapter = new PeftAdapter(checkpoint, new Linears(program));
    Adapter read = adapter.read(name);
    assertThat(read.bytes()).isEqualTo(adapter.bytes());
    return read;
  }

  /** All linears by walking the operations; a tied head would change the embedding when merged. */
  private static Map<String, WeightRef> adaptable(Program program) {
    Map<String, WeightRef> found = new LinkedHashMap<>();
    for (Op op : program.ops()) {
      switch (op) {
        case Op.Linear linear -> put(found, linear.weight());
        case Op.LatentAttention attention -> put(found, attention.kvB());
        case Op.Moe moe ->
            moe.experts()
                .forEach(e -> Stream.of(e.gate(), e.up(), e.down()).forEach(w -> put(found, w)));
        case Op.Logits logits -> {
          if (!logits.weight().name().contains("embed")) {
            put(found, logits.weight());
          }
        }
        default -> {}
      }
    }
    return found;
  }

  private static void put(Map<String, WeightRef> found, WeightRef weight) {
    assertThat(weight.name()).endsWith(".weight");
    found.put(weight.name().substring(0, weight.name().length() - ".weight".length()), weight);
  }

  private static Map<String, WeightRef> everyThird(Map<String, WeightRef> all) {
    Map<String, WeightRef> some = new LinkedHashMap<>();
    int i = 0;
    for (Map.Entry<String, WeightRef> entry : all.entrySet()) {
      if (i++ % 3 == 1) {
        some.put(entry.getKey(), entry.getValue());
      }
    }
    return some;
  }

  private float[] merged(TestModel model, PeftFolder adapter, int[] tokens) {
    Map<String, float[]> values = new HashMap<>();
    for (WeightRef weight : adaptable(model.program()).values()) {
      WeightMatrix matrix = model.read(weight);
      float[] plain = new float[weight.rows() * weight.cols()];
      for (int r = 0; r < weight.rows(); r++) {
        matrix.decodeRow(r, plain, r * weight.cols());
      }
      adapter.merge(weight, plain);
      values.put(weight.name(), plain);
    }
    TestModel changed = model.with(values);
    try (Rig rig = rig(changed)) {
      return rig.run(Seq.all(blocks(rig, tokens, 0), 0, tokens)).logits();
    }
  }

  private Rig rig(TestModel model) {
    Capacities capacities =
        new Capacities().maxTokens(4 * MAX_TOKENS).blocks(4, 8 * MAX_TOKENS, MAX_TOKENS);
    return new Rig(provider(), model.program(), model, capacities);
  }

  /** Block tables of sequences that run together. */
  private static int[] blocks(Rig rig, int[] tokens, int sequence) {
    int[] blocks = rig.blocksFor(tokens.length);
    Arrays.setAll(blocks, i -> 4 * i + sequence);
    return blocks;
  }

  private static float[] rows(float[] logits, int from, int to, int vocab) {
    return Arrays.copyOfRange(logits, from * vocab, to * vocab);
  }

  private void near(Golden golden, String what, float[] got, float[] want) {
    double[] wide = new double[want.length];
    Arrays.setAll(wide, i -> want[i]);
    Near.ofLargest(golden.name() + " " + what, got, wide, tolerance(MAX_DIFFERENCE));
  }

  private void same(Golden golden, String what, float[] got, float[] want) {
    Near.same(golden.name() + " " + what, got, want, bitIdentical(), tolerance(1e-5));
  }
}
