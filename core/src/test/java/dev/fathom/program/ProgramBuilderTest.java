package dev.fathom.program;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import dev.fathom.quant.WeightFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** Shapes are inferred and every mistake says operation, expected and got. */
class ProgramBuilderTest {

  private static final RopeSpec ROPE = new RopeSpec(new float[2], 1, RopeLayout.INTERLEAVED);
  private static final RouterSpec GREEDY = new RouterSpec.SoftmaxGreedy(8, 2, true, 1);

  private final ProgramBuilder g = new ProgramBuilder("test");

  static WeightRef weight(String name, Integer... shape) {
    return new WeightRef(name, Arrays.asList(shape), WeightFormat.F32);
  }

  private static Expert expert(int hidden, int inner) {
    return new Expert(
        weight("gate", inner, hidden), weight("up", inner, hidden), weight("down", hidden, inner));
  }

  private static void fails(ThrowingCallable mistake, String message) {
    assertThatThrownBy(mistake).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  @Test
  void eachOperationInfersTheShapeOfItsResult() {
    Value tokens = g.tokens();
    assertThat(tokens).hasToString("%0");
    assertThat(tokens.type()).isEqualTo(ElementType.I32);
    assertThat(tokens.shape()).hasToString("[T]");
    Value x = g.embed(tokens, weight("embed", 100, 24));
    assertThat(x.shape()).hasToString("[T, 24]");
    assertThat(g.rmsNorm(x, weight("norm", 24), 1e-6).shape()).hasToString("[T, 24]");
    Value y = g.linear(x, weight("w", 30, 24));
    assertThat(y.shape()).hasToString("[T, 30]");
    Value heads = g.reshape(y, 3, 10);
    assertThat(heads.shape()).hasToString("[T, 3, 10]");
    assertThat(g.linear(heads, weight("v", 7, 10), weight("b", 7)).shape())
        .hasToString("[T, 3, 7]");
    assertThat(g.slice(heads, 2, 6).shape()).hasToString("[T, 3, 4]");
    assertThat(g.concat(heads, g.slice(heads, 2, 6)).shape()).hasToString("[T, 3, 14]");
    assertThat(g.rope(heads, ROPE, 6).shape()).hasToString("[T, 3, 10]");
    assertThat(g.swiGlu(y, y).shape()).hasToString("[T, 30]");
    assertThat(g.add(heads, heads).shape()).hasToString("[T, 3, 10]");
    Value routing = g.route(x, weight("gate", 8, 24), null, GREEDY);
    assertThat(routing.type()).isEqualTo(ElementType.ROUTING);
    assertThat(routing.shape()).hasToString("[T, 2]");
    Value moe = g.moe(x, routing, Collections.nCopies(8, expert(24, 5)));
    assertThat(moe.shape()).hasToString("[T, 24]");
    assertThat(g.logits(x, weight("head", 100, 24)).shape()).hasToString("[R, 100]");
    assertThat(g.hidden("more", 9).shape()).hasToString("[T, 9]");
  }

  @Test
  void latentAttentionInfersTheWidthOfItsValuesFromKvb() {
    Value x = g.hidden("x", 40);
    KvSpec.Latent cache = new KvSpec.Latent(0, 16, 4);
    g.storeKv(cache, g.slice(x, 0, 16), g.slice(x, 16, 20));
    Value query = g.reshape(x, 4, 10);
    Value out = g.latentAttention(query, weight("kv_b", 4 * (6 + 5), 16), cache, 6, 0.5);
    assertThat(out.shape()).hasToString("[T, 4, 5]");
    Op.LatentAttention op = (Op.LatentAttention) lastOp(out);
    assertThat(op.numHeads()).isEqualTo(4);
    assertThat(op.vHeadDim()).isEqualTo(5);
  }

  @Test
  void attentionKeepsTheShapeOfItsQuery() {
    Value x = g.hidden("x", 24);
    KvSpec.Full cache = new KvSpec.Full(0, 2, 4);
    g.storeKv(cache, g.slice(x, 0, 8), g.slice(x, 8, 16));
    Value out = g.attention(g.reshape(x, 6, 4), cache, 0.5);
    assertThat(out.shape()).hasToString("[T, 6, 4]");
    assertThat(((Op.Attention) lastOp(out)).numHeads()).isEqualTo(6);
  }

  private Op lastOp(Value out) {
    g.output("out", out);
    return g.build().ops().getLast();
  }

  @Test
  void aProgramListsItsInputsOutputsWeightsAndCachesOnceAndInOrder() {
    Value x = g.embed(g.tokens(), weight("embed", 100, 8));
    KvSpec.Latent first = new KvSpec.Latent(0, 6, 2);
    KvSpec.Latent second = new KvSpec.Latent(1, 6, 2);
    g.storeKv(first, g.slice(x, 0, 6), g.slice(x, 6, 8));
    g.storeKv(second, x);
    Value y = g.linear(g.linear(x, weight("a.weight", 8, 8)), weight("a.weight", 8, 8));
    g.output("hidden", y);
    g.output(Program.LOGITS, g.logits(y, weight("embed", 100, 8)));
    Program program = g.build();
    assertThat(program.name()).isEqualTo("test");
    assertThat(program.inputs().keySet()).containsExactly("tokens");
    assertThat(program.outputs().keySet()).containsExactly("hidden", "logits");
    assertThat(program.weights()).extracting(WeightRef::name).containsExactly("embed", "a.weight");
    assertThat(program.kvSpecs()).containsExactly(first, second);
    assertThat(program.vocabSize()).isEqualTo(100);
    assertThat(program.values()).extracting(Value::id).startsWith(0, 1, 2, 3);
    assertThatThrownBy(() -> program.outputs().clear())
        .isInstanceOf(UnsupportedOperationException.class);
  }

  @Test
  void aLinearIsNamedAfterItsTensorWithoutTheSuffix() {
    Value x = g.hidden("x", 8);
    Value y = g.linear(x, weight("model.layers.3.mlp.up_proj.weight", 8, 8));
    Value z = g.linear(y, weight("head", 8, 8));
    g.output(Program.LOGITS, g.logits(z, weight("lm_head.weight", 8, 8)));
    assertThat(g.build().ops().stream().map(ProgramBuilderTest::name))
        .containsExactly("model.layers.3.mlp.up_proj", "head", "lm_head");
  }

  private static String name(Op op) {
    return switch (op) {
      case Op.Linear linear -> linear.name();
      case Op.Logits logits -> logits.name();
      default -> op.kind();
    };
  }

  @Test
  void inputsAndOutputsHaveNewNames() {
    Value tokens = g.tokens();
    fails(g::tokens, "input: expected a new name, got tokens twice");
    fails(() -> g.hidden("tokens", 3), "input: expected a new name, got tokens twice");
    g.output("a", tokens);
    fails(() -> g.output("a", tokens), "output: expected a new name, got a twice");
  }

  @Test
  void aProgramNeedsAnOutputAndAskingForTheVocabularyNeedsLogits() {
    fails(g::build, "program: expected at least one output, got 0");
    g.output("x", g.hidden("x", 3));
    Program program = g.build();
    assertThatThrownBy(program::vocabSize)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("program test has no output logits");
  }

  @Test
  void anEmbeddingTakesTokensAndAMatrix() {
    Value x = g.hidden("x", 4);
    Value tokens = g.tokens();
    fails(() -> g.embed(x, weight("w", 9, 4)), "embed: expected tokens of type I32, got F32");
    fails(() -> g.embed(tokens, weight("w", 4)), "embed: expected a weight matrix, got w[4] F32");
  }

  @Test
  void aNormTakesAVectorOfTheInputsWidthAndASaneEpsilon() {
    Value x = g.hidden("x", 4);
    Value tokens = g.tokens();
    WeightRef w = weight("w", 4);
    fails(() -> g.rmsNorm(tokens, w, 1e-6), "rmsNorm: expected input of type F32, got I32");
    fails(
        () -> g.rmsNorm(x, weight("w", 4, 4), 1e-6),
        "rmsNorm: expected a weight vector, got w[4, 4] F32");
    fails(() -> g.rmsNorm(x, weight("w", 5), 1e-6), "rmsNorm: expected input [.., 5], got [T, 4]");
    fails(() -> g.rmsNorm(x, w, 0), "rmsNorm: expected eps in (0, 1), got 0.0");
    fails(() -> g.rmsNorm(x, w, 1), "rmsNorm: expected eps in (0, 1), got 1.0");
    fails(() -> g.rmsNorm(x, w, Double.NaN), "rmsNorm: expected eps in (0, 1), got NaN");
  }

  @Test
  void aLinearTakesAMatrixOfTheInputsWidthAndABiasOfItsRows() {
    Value x = g.hidden("x", 128);
    Value tokens = g.tokens();
    WeightRef w = weight("w", 6, 128);
    fails(() -> g.linear(x, weight("w", 6, 256)), "linear: expected input [.., 256], got [T, 128]");
    fails(() -> g.linear(tokens, w), "linear: expected input of type F32, got I32");
    fails(() -> g.linear(x, weight("w", 128)), "linear: expected a weight matrix, got w[128] F32");
    fails(() -> g.linear(x, w, weight("b", 7)), "linear: expected a vector [6], got b[7] F32");
    fails(
        () -> g.linear(x, w, weight("b", 1, 6)), "linear: expected a vector [6], got b[1, 6] F32");
  }

  @Test
  void aSliceLiesInsideTheLastAxis() {
    Value x = g.hidden("x", 4);
    fails(() -> g.slice(x, 2, 5), "slice: expected 0 <= begin < end <= 4, got 2..5");
    fails(() -> g.slice(x, -1, 2), "slice: expected 0 <= begin < end <= 4, got -1..2");
    fails(() -> g.slice(x, 2, 2), "slice: expected 0 <= begin < end <= 4, got 2..2");
    fails(() -> g.slice(g.tokens(), 0, 1), "slice: expected input of type F32, got I32");
    fails(() -> g.concat(), "concat: expected at least one part, got 0");
    fails(
        () -> g.concat(x, g.reshape(x, 2, 2)),
        "concat: expected [T, 4] but for its last axis, got [T, 2, 2]");
  }

  @Test
  void aReshapeKeepsTheNumberOfElements() {
    Value x = g.hidden("x", 12);
    fails(() -> g.reshape(x, 3, 5), "reshape: expected 12 elements a token, got [T, 3, 5]");
    fails(() -> g.reshape(x, 0, 12), "shape: dimensions must be >= 1: dims=[0, 12]");
    fails(() -> g.reshape(x, -3, -4), "shape: dimensions must be >= 1: dims=[-3, -4]");
    fails(() -> g.reshape(g.tokens(), 1), "reshape: expected input of type F32, got I32");
  }

  @Test
  void aValueWithoutALastAxisHasNothingToMultiply() {
    Value scalar = g.reshape(g.hidden("x", 1));
    assertThat(scalar.shape()).hasToString("[T]");
    fails(() -> g.linear(scalar, weight("w", 3, 1)), "linear: expected input [.., 1], got [T]");
    fails(() -> g.slice(scalar, 0, 1), "slice: expected input [.., C], got [T]");
  }

  @Test
  void ropeTurnsElementsOfTokensOnly() {
    Value x = g.hidden("x", 4);
    Value logits = g.logits(x, weight("head", 4, 4));
    fails(
        () -> g.rope(x, ROPE, 1), "rope: expected elements 1..5 inside the last axis, got [T, 4]");
    fails(
        () -> g.rope(x, ROPE, -1),
        "rope: expected elements -1..3 inside the last axis, got [T, 4]");
    fails(() -> g.rope(logits, ROPE, 0), "rope: expected one vector a token, got [R, 4]");
    fails(
        () -> new RopeSpec(new float[0], 1, RopeLayout.INTERLEAVED),
        "rope: expected at least one frequency, got 0");
  }

  @Test
  void aCacheIsStoredWholeAndFromTokens() {
    Value x = g.hidden("x", 8);
    Value logits = g.logits(x, weight("head", 12, 8));
    KvSpec.Latent cache = new KvSpec.Latent(0, 8, 4);
    fails(
        () -> g.storeKv(cache, x),
        "storeKv: expected 12 elements a token for"
            + " Latent[layer=0, kvLoraRank=8, qkRopeHeadDim=4], got 8");
    fails(() -> g.storeKv(cache, logits), "storeKv: expected one vector a token, got [R, 12]");
    fails(() -> g.storeKv(cache, g.tokens()), "storeKv: expected input of type F32, got I32");
  }

  @Test
  void latentAttentionChecksQueryKvbAndCache() {
    Value x = g.hidden("x", 40);
    Value query = g.reshape(x, 4, 10);
    KvSpec.Latent cache = new KvSpec.Latent(0, 16, 4);
    WeightRef kvB = weight("kv_b", 44, 16);
    fails(
        () -> g.latentAttention(query, kvB, cache, 6, 1),
        "latentAttention: expected a storeKv before it, got"
            + " Latent[layer=0, kvLoraRank=16, qkRopeHeadDim=4]");
    g.storeKv(cache, g.slice(x, 0, 20));
    fails(
        () -> g.latentAttention(x, kvB, cache, 6, 1),
        "latentAttention: expected a query [T, H, D], got [T, 40]");
    fails(
        () -> g.latentAttention(query, kvB, cache, 7, 1),
        "latentAttention: expected input [.., 11], got [T, 4, 10]");
    fails(
        () -> g.latentAttention(query, weight("kv_b", 44), cache, 6, 1),
        "latentAttention: expected a weight matrix, got kv_b[44] F32");
    fails(
        () -> g.latentAttention(query, weight("kv_b", 44, 15), cache, 6, 1),
        "latentAttention: expected kv_b of 16 columns, got kv_b[44, 15] F32");
    fails(
        () -> g.latentAttention(query, weight("kv_b", 45, 16), cache, 6, 1),
        "latentAttention: expected kv_b rows = 4 x (6 + v), got kv_b[45, 16] F32");
    fails(
        () -> g.latentAttention(query, weight("kv_b", 24, 16), cache, 6, 1),
        "latentAttention: expected kv_b rows = 4 x (6 + v), got kv_b[24, 16] F32");
  }

  @Test
  void attentionChecksQueryAndCache() {
    Value x = g.hidden("x", 24);
    KvSpec.Full cache = new KvSpec.Full(0, 2, 4);
    fails(
        () -> g.attention(g.reshape(x, 6, 4), cache, 1),
        "attention: expected a storeKv before it, got Full[layer=0, numKvHeads=2, headDim=4]");
    g.storeKv(cache, g.slice(x, 0, 16));
    fails(() -> g.attention(x, cache, 1), "attention: expected a query [T, H, D], got [T, 24]");
    fails(
        () -> g.attention(g.reshape(x, 4, 6), cache, 1),
        "attention: expected input [.., 4], got [T, 4, 6]");
    KvSpec.Full odd = new KvSpec.Full(1, 4, 4);
    fails(
        () -> g.attention(g.reshape(x, 6, 4), odd, 1),
        "attention: expected a multiple of 4 heads, got [T, 6, 4]");
  }

  @Test
  void anIndexerSelectsPositionsForLatentAttention() {
    Value x = g.hidden("x", 24);
    Value query = g.reshape(x, 4, 6);
    Value headWeights = g.slice(x, 0, 4);
    KvSpec.IndexerKeys keys = new KvSpec.IndexerKeys(0, 6);
    fails(
        () -> g.topKIndex(query, headWeights, keys, 1, 9),
        "topKIndex: expected a storeKv before it, got IndexerKeys[layer=0, indexHeadDim=6]");
    g.storeKv(keys, g.slice(x, 0, 6));
    Value selection = g.topKIndex(query, headWeights, keys, 1, 9);
    assertThat(selection.shape()).hasToString("[T, 9]");
    assertThat(selection.type()).isEqualTo(ElementType.I32);
    fails(
        () -> g.topKIndex(x, headWeights, keys, 1, 9),
        "topKIndex: expected a query [T, H, D], got [T, 24]");
    fails(
        () -> g.topKIndex(g.reshape(x, 6, 4), headWeights, keys, 1, 9),
        "topKIndex: expected input [.., 6], got [T, 6, 4]");
    fails(
        () -> g.topKIndex(query, x, keys, 1, 9), "topKIndex: expected input [.., 4], got [T, 24]");
    fails(
        () -> g.topKIndex(query, headWeights, keys, 0, 9),
        "topKIndex: expected a positive scale, got 0.0");
    fails(
        () -> g.topKIndex(query, headWeights, keys, 1, 0),
        "shape: dimensions must be >= 1: dims=[0]");
    KvSpec.Latent cache = new KvSpec.Latent(0, 4, 2);
    g.storeKv(cache, g.slice(x, 0, 6));
    WeightRef kvB = weight("kv_b", 4 * (4 + 3), 4);
    assertThat(g.latentAttention(query, kvB, cache, 4, 1, selection).shape())
        .hasToString("[T, 4, 3]");
    fails(
        () -> g.latentAttention(query, kvB, cache, 4, 1, x),
        "latentAttention: expected a selection of type I32, got F32");
    fails(
        () -> g.latentAttention(query, kvB, cache, 4, 1, g.tokens()),
        "latentAttention: expected a selection [T, k], got [T]");
  }

  @Test
  void aLayerNormTakesAWeightAndABiasOfTheInputsWidth() {
    Value x = g.hidden("x", 4);
    WeightRef w = weight("w", 4);
    assertThat(g.layerNorm(x, w, w, 1e-6).shape()).hasToString("[T, 4]");
    fails(
        () -> g.layerNorm(x, weight("w", 5), w, 1e-6),
        "layerNorm: expected a vector [4], got w[5] F32");
    fails(
        () -> g.layerNorm(x, w, weight("b", 4, 4), 1e-6),
        "layerNorm: expected a vector [4], got b[4, 4] F32");
    fails(() -> g.layerNorm(x, w, w, 0), "layerNorm: expected eps in (0, 1), got 0.0");
    fails(
        () -> g.layerNorm(g.tokens(), w, w, 1e-6),
        "layerNorm: expected input of type F32, got I32");
  }

  @Test
  void aRouterTakesOneRowAndOneBiasForEachExpert() {
    Value x = g.hidden("x", 24);
    fails(
        () -> g.route(x, weight("gate", 9, 24), null, GREEDY),
        "route: expected 8 experts, got gate[9, 24] F32");
    fails(
        () -> g.route(x, weight("gate", 8, 23), null, GREEDY),
        "route: expected input [.., 23], got [T, 24]");
    fails(
        () -> g.route(x, weight("gate", 8), null, GREEDY),
        "route: expected a weight matrix, got gate[8] F32");
    RouterSpec biased = new RouterSpec.SigmoidNoAuxTc(8, 2, 1, 1, true, 1);
    fails(
        () -> g.route(x, weight("gate", 8, 24), weight("bias", 7), biased),
        "route: expected a vector [8], got bias[7] F32");
    fails(
        () -> g.route(x, weight("gate", 8, 24), weight("bias", 8), GREEDY),
        "route: expected no bias for " + GREEDY + ", got bias[8] F32");
  }

  @Test
  void expertsHaveOneShapeAndAreAsManyAsTheRouterChoosesFrom() {
    Value x = g.hidden("x", 24);
    Value routing = g.route(x, weight("gate", 8, 24), null, GREEDY);
    List<Expert> eight = Collections.nCopies(8, expert(24, 5));
    fails(() -> g.moe(x, x, eight), "moe: expected a routing, got F32");
    fails(() -> g.moe(routing, routing, eight), "moe: expected input of type F32, got ROUTING");
    fails(() -> g.moe(x, routing, List.of()), "moe: expected at least one expert, got 0");
    fails(
        () -> g.moe(x, routing, Collections.nCopies(8, expert(23, 5))),
        "moe: expected a weight [5, 24], got gate[5, 23] F32");
    List<Expert> mixed = new ArrayList<>(eight);
    mixed.set(3, expert(24, 6));
    fails(() -> g.moe(x, routing, mixed), "moe: expected a weight [5, 24], got gate[6, 24] F32");
    Expert broken = new Expert(weight("gate", 5, 24), weight("up", 5, 24), weight("down", 5, 24));
    fails(
        () -> g.moe(x, routing, Collections.nCopies(8, broken)),
        "moe: expected a weight [24, 5], got down[5, 24] F32");
    fails(() -> g.moe(x, routing, eight.subList(0, 7)), "moe: expected 8 experts, got 7");
  }

  @Test
  void activationsAndSumsTakeTwoOperandsOfOneShapeAndType() {
    Value a = g.hidden("a", 4);
    Value b = g.hidden("b", 5);
    Value tokens = g.tokens();
    fails(() -> g.add(a, b), "add: expected two operands of shape [T, 4], got [T, 5]");
    fails(() -> g.swiGlu(a, b), "swiGlu: expected two operands of shape [T, 4], got [T, 5]");
    fails(() -> g.add(a, tokens), "add: expected two operands of type F32, got I32");
    fails(() -> g.add(tokens, tokens), "add: expected input of type F32, got I32");
    fails(
        () -> g.add(a, g.logits(a, weight("head", 4, 4))),
        "add: expected two operands of shape [T, 4], got [R, 4]");
  }

  @Test
  void logitsAreMadeOfTokensAndOnlyOnce() {
    Value x = g.hidden("x", 4);
    Value logits = g.logits(x, weight("head", 4, 4));
    fails(
        () -> g.logits(logits, weight("head", 4, 4)),
        "logits: expected one vector a token, got [R, 4]");
    fails(() -> g.logits(x, weight("head", 9, 5)), "logits: expected input [.., 5], got [T, 4]");
  }

  @Test
  void aValueOfAnotherProgramIsRefusedByEveryKindOfOperation() {
    ProgramBuilder other = new ProgramBuilder("other");
    other.tokens();
    Value foreign = other.hidden("x", 4);
    fails(() -> g.add(foreign, foreign), "add: expected a value of this program, got %1");
    g.tokens();
    g.hidden("y", 5);
    fails(() -> g.swiGlu(foreign, foreign), "swiGlu: expected a value of this program, got %1");
    fails(
        () -> g.storeKv(new KvSpec.Latent(0, 4, 0), foreign),
        "storeKv: expected a value of this program, got %1");
    fails(() -> g.output("x", foreign), "output: expected a value of this program, got %1");
  }

  @Test
  void weightsAreVectorsOrMatrices() {
    fails(() -> weight("w", 1, 2, 3), "weight: expected a vector or a matrix, got w [1, 2, 3]");
    fails(() -> weight("w"), "weight: expected a vector or a matrix, got w []");
    WeightRef vector = weight("v", 7);
    assertThat(vector.isVector()).isTrue();
    assertThat(List.of(vector.rows(), vector.cols())).containsExactly(1, 7);
    WeightRef matrix = weight("m", 3, 7);
    assertThat(matrix.isVector()).isFalse();
    assertThat(List.of(matrix.rows(), matrix.cols())).containsExactly(3, 7);
    assertThat(matrix).hasToString("m[3, 7] F32");
  }

  @Test
  void aShapeOfMoreThanTwoBillionElementsIsRefused() {
    Value x = g.hidden("x", 1 << 30);
    assertThatThrownBy(() -> g.reshape(x, 1 << 20, 1 << 20))
        .isInstanceOf(ArithmeticException.class);
  }

  @Test
  void ropesAreEqualByFrequenciesAmplitudeAndLayout() {
    RopeSpec a = new RopeSpec(new float[] {1, 2}, 1, RopeLayout.INTERLEAVED);
    assertThat(a)
        .isEqualTo(new RopeSpec(new float[] {1, 2}, 1, RopeLayout.INTERLEAVED))
        .hasSameHashCodeAs(new RopeSpec(new float[] {1, 2}, 1, RopeLayout.INTERLEAVED))
        .isNotEqualTo(new RopeSpec(new float[] {1, 3}, 1, RopeLayout.INTERLEAVED))
        .isNotEqualTo(new RopeSpec(new float[] {1, 2}, 2, RopeLayout.INTERLEAVED))
        .isNotEqualTo(new RopeSpec(new float[] {1, 2}, 1, RopeLayout.HALF_SPLIT))
        .hasToString("rope(dim=4, INTERLEAVED, amplitude=1.0)");
    float[] source = {1, 2};
    RopeSpec copied = new RopeSpec(source, 1, RopeLayout.INTERLEAVED);
    source[0] = 9;
    assertThat(copied.inverseFrequency(0)).isEqualTo(1);
    assertThat(copied.dim()).isEqualTo(4);
  }
}
