package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.backend.contract.Capacities;
import dev.fathom.backend.contract.ContractPromises;
import dev.fathom.backend.contract.Near;
import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import dev.fathom.program.Program;
import dev.fathom.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;

/**
 * Modules of multi-token prediction: V4's against the official code's logits, V3's against a plain
 * implementation, and the trained sample's against what the main model says one token later.
 */
public abstract class PredictionContract extends ContractPromises {

  private static final double MAX_DIFFERENCE = 2e-4;
  private static final List<String> CHAT_KINDS =
      List.of("wordnet", "facts", "debian", "arith", "tools");
  private static final double MIN_AGREEMENT = 0.75;
  private static final int DOCUMENTS = 3;
  private static final int MAX_TOKENS = 160;

  /** What the official code says after a prefix. */
  private record Prefix(int len, float[] main, float[] mtp) {}

  @Test
  void draftsOfV4AreThoseOfTheOfficialCodeWholeAndInChunks(TestReporter reporter) {
    Path folder = TestModel.above("shared/fixtures/spec-goldens/v4_mtp");
    assumeTrue(folder != null, "skipped: ../shared/fixtures/spec-goldens/v4_mtp is absent");
    TestModel model = TestModel.ofFolder(folder);
    assertThat(model.drafts()).hasSize(1);
    JsonObject golden =
        (JsonObject) Json.parse(TestModel.read(folder.resolve("golden.json")), JsonLimits.DEFAULT);
    int[] tokens = Golden.ints(golden.get("input_ids"));
    List<Prefix> prefixes = new ArrayList<>();
    for (JsonValue value : ((JsonArray) golden.get("cases")).values()) {
      JsonObject o = (JsonObject) value;
      int len = Math.toIntExact(((JsonNumber) o.get("n_tokens")).longValueExact());
      long next = ((JsonNumber) o.get("next_token")).longValueExact();
      assertThat((long) tokens[len]).isEqualTo(next);
      float[] main = Golden.floats(o.get("main_logits"));
      prefixes.add(new Prefix(len, main, Golden.floats(o.get("mtp_logits"))));
    }
    assertThat(prefixes).hasSize(4);
    int len = tokens.length - 1;
    float[] whole = drafts(model, tokens, len, len);
    for (Prefix prefix : prefixes) {
      double worst = worst(whole, prefix.len() - 1, prefix.mtp());
      reporter.publishEntry("prefix " + prefix.len(), "max |dlogit| " + worst);
      assertThat(worst)
          .as("prefix of %d", prefix.len())
          .isLessThanOrEqualTo(tolerance(MAX_DIFFERENCE));
      // The two differ, so that a draft which repeats the main program is no match.
      assertThat(worst(prefix.main(), 0, prefix.mtp())).isGreaterThan(1e-2);
    }
    for (int chunk : new int[] {1, 3, 7}) {
      float[] got = drafts(model, tokens, len, chunk);
      Near.same("chunk=" + chunk, got, whole, bitIdentical(), tolerance(1e-5));
    }
  }

  private static double worst(float[] got, int row, float[] want) {
    double worst = 0;
    for (int v = 0; v < want.length; v++) {
      worst = Math.max(worst, Math.abs((double) got[row * want.length + v] - want[v]));
    }
    return worst;
  }

  @Test
  void draftsOfV3AreThoseOfAPlainImplementation(TestReporter reporter) {
    TestModel model = sample();
    int[] tokens = documents("arith").getFirst();
    tokens = Arrays.copyOf(tokens, Math.min(tokens.length, 24));
    int len = tokens.length - 1;
    int width = model.drafts().getFirst().outputs().get(Program.STATE).shape().width();
    try (Rig rig = rig(model)) {
      Rig.Result main = rig.run(Seq.last(rig.blocksFor(len), 0, Arrays.copyOf(tokens, len)));
      float[] states = main.output(Program.STATE);
      Rig.Result draft =
          rig.draft(1, range(len), Seq.all(rig.blocksFor(len), 0, next(tokens, 0, len)));
      PlainPrediction plain = new PlainPrediction(model);
      PlainPrediction.Result want = plain.run(states, next(tokens, 0, len));
      assertThat(want.states()).hasSize(len * width);
      Near.ofLargest("state", draft.output(Program.STATE), want.states(), tolerance(5e-6));
      Near.ofLargest("logits", draft.logits(), want.logits(), tolerance(5e-6));
      reporter.publishEntry("smallest routing margin", String.valueOf(want.margin()));
      assertThat(want.margin()).as("rounding must not decide an expert").isGreaterThan(1e-6);
    }
  }

  @Test
  void draftsOfTheSampleAreWhatTheMainModelSaysOneTokenLater(TestReporter reporter) {
    TestModel model = sample();
    for (String kind : CHAT_KINDS) {
      int agreed = 0;
      int all = 0;
      for (int[] tokens : documents(kind)) {
        int len = Math.min(tokens.length, MAX_TOKENS) - 1;
        try (Rig rig = rig(model)) {
          int[] blocks = rig.blocksFor(len);
          int[] main = rig.run(Seq.all(blocks, 0, Arrays.copyOf(tokens, len))).sampled();
          int[] draft =
              rig.draft(1, range(len), Seq.all(blocks, 0, next(tokens, 0, len))).sampled();
          for (int t = 0; t + 1 < len; t++) {
            agreed += draft[t] == main[t + 1] ? 1 : 0;
            all++;
          }
        }
      }
      double rate = (double) agreed / all;
      reporter.publishEntry(kind, "agreement " + rate + " of " + all);
      assertThat(rate).as(kind).isGreaterThanOrEqualTo(MIN_AGREEMENT);
    }
  }

  private static TestModel sample() {
    Path folder = TestModel.above("examples/models/sample");
    assertThat(folder).as("examples/models/sample").isNotNull();
    TestModel model = TestModel.ofFolder(folder);
    assertThat(model.drafts()).hasSize(1);
    return model;
  }

  /** The first texts of a kind, tokenized. */
  private static List<int[]> documents(String kind) {
    Path folder = TestModel.above("examples/models/sample");
    assertThat(folder).as("examples/models/sample").isNotNull();
    Tokenizer tokenizer = Tokenizer.load(folder.resolve("tokenizer.json"));
    JsonObject eval =
        (JsonObject) Json.parse(TestModel.read(folder.resolve("eval.json")), JsonLimits.DEFAULT);
    JsonArray texts = (JsonArray) ((JsonObject) eval.get("text")).get(kind);
    return texts.values().stream()
        .limit(DOCUMENTS)
        .map(t -> tokenizer.encodeWithSpecials(((JsonString) t).value()))
        .toList();
  }

  private Rig rig(TestModel model) {
    Capacities capacities = new Capacities().maxTokens(MAX_TOKENS).blocks(16, 20, 20);
    return new Rig(provider(), model.programs(), model, capacities);
  }

  private static int[] range(int len) {
    return IntStream.range(0, len).toArray();
  }

  private static int[] next(int[] tokens, int from, int to) {
    return Arrays.copyOfRange(tokens, from + 1, to + 1);
  }

  /** Draft logits after each of the first len positions, main and draft in steps of a chunk. */
  private float[] drafts(TestModel model, int[] tokens, int len, int chunk) {
    int vocab = model.program().vocabSize();
    float[] logits = new float[len * vocab];
    try (Rig rig = rig(model)) {
      int[] blocks = rig.blocksFor(len);
      for (int from = 0; from < len; from += chunk) {
        int to = Math.min(from + chunk, len);
        rig.run(Seq.none(blocks, from, Arrays.copyOfRange(tokens, from, to)));
        Seq draft = Seq.all(blocks, from, next(tokens, from, to));
        float[] got = rig.draft(1, range(to - from), draft).logits();
        System.arraycopy(got, 0, logits, from * vocab, got.length);
      }
    }
    return logits;
  }
}
