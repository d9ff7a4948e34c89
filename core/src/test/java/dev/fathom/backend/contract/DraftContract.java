package dev.fathom.backend.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Draft programs: they continue the states of another program and keep a cache beside its own. */
abstract class DraftContract extends ExecutableContract {

  private static final int RANK = 7;
  private static final int ROPE = 0;

  private final TinyModel main = new TinyModel();
  private WeightRef embed = new WeightRef("", List.of(1), WeightFormat.F32);
  private WeightRef join = embed;
  private WeightRef head = embed;
  private final Program mixing = draft("mixing", false);
  private final Program attending = draft("attending", true);

  /** A draft that joins token and state, with or without attention to the states before. */
  private Program draft(String name, boolean attends) {
    ProgramBuilder g = new ProgramBuilder(name);
    int width = TinyModel.HIDDEN;
    Value hidden = g.hidden(Program.HIDDEN, width);
    embed = main.weights.normal(name + ".embed", WeightFormat.F32, 1, TinyModel.VOCAB, width);
    join = main.weights.normal(name + ".join.weight", WeightFormat.F32, 0.2, width, 2 * width);
    head =
        main.weights.normal(name + ".head.weight", WeightFormat.F32, 0.3, TinyModel.VOCAB, width);
    Value state = g.linear(g.concat(g.embed(g.tokens(), embed), hidden), join);
    if (attends) {
      WeightRef down =
          main.weights.normal(name + ".down.weight", WeightFormat.F32, 0.2, RANK, width);
      KvSpec.Latent cache = new KvSpec.Latent(2, RANK, ROPE);
      g.storeKv(cache, g.linear(state, down));
      WeightRef query = main.weights.normal(name + ".q.weight", WeightFormat.F32, 0.2, 26, width);
      WeightRef kvB = main.weights.normal(name + ".kv_b", WeightFormat.F32, 0.4, 2 * 26, RANK);
      Value q = g.reshape(g.linear(state, query), 2, 13);
      Value heads = g.latentAttention(q, kvB, cache, 13, 0.3);
      state = g.add(state, g.reshape(heads, width));
    }
    g.output(Program.STATE, state);
    g.output(Program.LOGITS, g.logits(state, head));
    return g.build();
  }

  private Rig rig(Program... drafts) {
    return new Rig(
        provider(),
        Stream.concat(Stream.of(main.program), Arrays.stream(drafts)).toList(),
        main.weights,
        new Capacities());
  }

  private static int[] range(int from, int to) {
    return IntStream.range(from, to).toArray();
  }

  @Test
  void aDraftJoinsEachTokenWithTheStateThatItNames() {
    int width = TinyModel.HIDDEN;
    WeightRef table = ref(mixing, "mixing.embed");
    WeightRef joining = ref(mixing, "mixing.join.weight");
    WeightRef logits = ref(mixing, "mixing.head.weight");
    int[] tokens = TinyModel.tokens(9, 1);
    int[] next = {5, 0, 36, 7};
    int[] continued = {8, 0, 3, 3};
    try (Rig rig = rig(attending, mixing)) {
      assertThat(rig.executable().numPrograms()).isEqualTo(3);
      float[] states = rig.run(Seq.all(rig.blocksFor(9), 0, tokens)).output(Program.STATE);
      Rig.Result step = rig.draft(2, continued, Seq.all(rig.blocksFor(4), 0, next));
      double[] joined = new double[next.length * 2 * width];
      for (int t = 0; t < next.length; t++) {
        double[] row = main.weights.values(table);
        System.arraycopy(row, next[t] * width, joined, t * 2 * width, width);
        for (int i = 0; i < width; i++) {
          joined[(2 * t + 1) * width + i] = states[continued[t] * width + i];
        }
      }
      double[] want = Formulas.linear(joined, main.weights.values(joining), 2 * width);
      Near.ofLargest("state", step.output(Program.STATE), want, tolerance(2e-6));
      double[] wantLogits = Formulas.linear(want, main.weights.values(logits), width);
      Near.ofLargest("logits", step.logits(), wantLogits, tolerance(4e-6));
    }
  }

  private static WeightRef ref(Program program, String name) {
    return program.weights().stream().filter(w -> w.name().equals(name)).findFirst().orElseThrow();
  }

  @TestFactory
  Stream<DynamicTest> chunksOfADraftGiveWhatOneStepGives() {
    int[] tokens = TinyModel.tokens(20, 1);
    return IntStream.of(1, 3, 7)
        .mapToObj(chunk ->
            DynamicTest.dynamicTest(
                "chunk=" + chunk,
                () -> {
                  float[] want;
                  try (Rig rig = rig(attending)) {
                    rig.run(Seq.none(rig.blocksFor(19), 0, Arrays.copyOf(tokens, 19)));
                    want = shifted(rig, tokens, 0, 19, 0);
                  }
                  try (Rig rig = rig(attending)) {
                    for (int from = 0; from < 19; from += chunk) {
                      int to = Math.min(19, from + chunk);
                      rig.run(
                          Seq.last(new int[] {30, 31}, 0, 1, 2),
                          Seq.none(rig.blocksFor(19), from, Arrays.copyOfRange(tokens, from, to)));
                      float[] got = shifted(rig, tokens, from, to, 2);
                      same("from " + from, got, rows(want, from, to));
                    }
                  }
                }));
  }

  /** Drafts after positions [from, to), whose states begin at a token of the step before. */
  private static float[] shifted(Rig rig, int[] tokens, int from, int to, int first) {
    int[] next = Arrays.copyOfRange(tokens, from + 1, to + 1);
    int[] hidden = range(first, first + to - from);
    return rig.draft(1, hidden, Seq.all(rig.blocksFor(19), from, next)).logits();
  }

  @Test
  void aDraftContinuesItselfAndTheTokensThatItSampled() {
    int[] tokens = TinyModel.tokens(6, 2);
    try (Rig rig = rig(attending);
        Rig plain = rig(attending)) {
      int[] blocks = rig.blocksFor(12);
      for (Rig each : List.of(rig, plain)) {
        each.run(Seq.last(blocks, 0, tokens));
        each.draft(1, range(0, 5), Seq.none(blocks, 0, Arrays.copyOfRange(tokens, 1, 6)));
      }
      for (Rig each : List.of(rig, plain)) {
        each.run(Seq.last(blocks, 5, tokens[5]));
      }
      int first = plain.draft(1, new int[] {0}, Seq.last(blocks, 5, 11)).sampled()[0];
      rig.draft(1, new int[] {0}, Seq.last(blocks, 5, 11));
      Rig.Result explicit = plain.draft(1, new int[] {0}, Seq.last(blocks, 6, first));
      float[] want = explicit.logits();
      Rig.Result got = rig.draft(1, new int[] {0}, Seq.last(blocks, 6, -1));
      same("second draft", got.logits(), want);
      assertThat(got.sampled()).isEqualTo(explicit.sampled());
    }
  }

  @Test
  void draftsChangeNothingOfTheMainProgram() {
    int[] tokens = TinyModel.tokens(15, 3);
    float[] want = whole(tokens);
    try (Rig rig = rig(attending, mixing)) {
      int[] blocks = rig.blocksFor(15);
      for (int from = 0; from < 15; from += 5) {
        int[] part = part(tokens, from, from + 5);
        float[] got = rig.run(Seq.all(blocks, from, part)).logits();
        same("from " + from, got, rows(want, from, from + 5));
        rig.draft(1, range(0, 5), Seq.last(blocks, from, part));
        rig.draft(2, range(0, 5), Seq.last(blocks, from, part));
      }
      assertThat(rig.executable().blockBytes(0)).isGreaterThan(tinyBlockBytes());
    }
  }

  private long tinyBlockBytes() {
    try (Rig rig = rig()) {
      assertThat(rig.executable().numPrograms()).isEqualTo(1);
      return rig.executable().blockBytes(0);
    }
  }

  @Test
  void aDraftThatIsRefusedSaysWhyAndLeavesTheExecutableAsItWas() {
    int[] blocks = {0, 1};
    try (Rig rig = rig(attending)) {
      rig.run(Seq.last(blocks, 0, 1, 2, 3));
      Seq one = Seq.last(blocks, 0, 4);
      float[] want = rig.draft(1, new int[] {2}, one).logits();
      rig.run(Seq.last(blocks, 0, 1, 2, 3));
      assertThatThrownBy(() -> rig.draft(1, new int[] {3}, one))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("must continue one of the 3 tokens before: hidden=3");
      assertThatThrownBy(() -> rig.draft(2, new int[] {0}, one))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("must be 0 <= program < 2: program=2");
      same("after", rig.draft(1, new int[] {2}, one).logits(), want);
    }
  }
}
