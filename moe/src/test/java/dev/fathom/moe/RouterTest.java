package dev.fathom.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.moe.RouterSpec.MaskedGroups;
import dev.fathom.moe.RouterSpec.SigmoidNoAuxTc;
import dev.fathom.moe.RouterSpec.SoftmaxGreedy;
import dev.fathom.moe.RouterSpec.SoftmaxGroupLimited;
import dev.fathom.moe.RouterSpec.SqrtSoftplusNoAuxTc;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Known answers (computed in float64 from the published formulas), borders and errors. */
class RouterTest {
  private static final float[] BIAS = {
    0.3f, -0.2f, 0.05f, -0.4f, -1.2f, -1.3f, -1.1f, -1.25f,
    0.02f, -0.6f, 0.33f, -0.15f, -0.9f, 0.12f, -0.05f, 0.21f
  };

  private record Choice(int[] ids, float[] weights) {}

  private static float[] logits() {
    float[] logits = new float[16];
    for (int i = 0; i < 16; i++) {
      logits[i] = (float) (2 * Math.sin(1.7 * (i + 1)));
    }
    return logits;
  }

  private static float[] shifted(float[] values, float by) {
    float[] result = values.clone();
    for (int i = 0; i < result.length; i++) {
      result[i] += by;
    }
    return result;
  }

  private static Choice route(RouterSpec spec, float[] logits, float @Nullable [] bias) {
    int[] ids = new int[spec.topK()];
    float[] weights = new float[spec.topK()];
    RouterScratch scratch = new RouterScratch(spec.numExperts());
    Router.route(spec, logits, 0, bias, ids, weights, 0, scratch);
    return new Choice(ids, weights);
  }

  @Test
  void v3ChoosesByBiasedScoresOfTheBestGroupsAndWeighsByUnbiasedOnes() {
    Choice choice = route(new SigmoidNoAuxTc(16, 3, 4, 2, true, 2.5), logits(), BIAS);

    assertThat(choice.ids).containsExactly(0, 15, 14);
    assertThat(choice.weights)
        .containsExactly(new float[] {0.9140415f, 0.8869976f, 0.6989609f}, within(1e-6f));
  }

  @Test
  void maskedGroupsCantBeChosenUnlessTheOldZeroMaskIsAskedFor() {
    float[] negative = shifted(BIAS, -1.4f);
    SigmoidNoAuxTc official = new SigmoidNoAuxTc(16, 3, 4, 2, true, 2.5);
    SigmoidNoAuxTc old = new SigmoidNoAuxTc(16, 3, 4, 2, true, 2.5, MaskedGroups.ZERO);

    assertThat(route(official, logits(), negative).ids).containsExactly(0, 15, 14);
    assertThat(route(old, logits(), negative).ids).containsExactly(4, 5, 6);
    assertThat(route(old, logits(), BIAS).ids).containsExactly(0, 15, 14);
  }

  @Test
  void v3WithoutNormalisationOnlyScales() {
    Choice choice = route(new SigmoidNoAuxTc(16, 3, 4, 2, false, 2.5), logits(), BIAS);

    float[] expected = {2.5f * 0.8790357f, 2.5f * 0.8530275f, 2.5f * 0.6721922f};
    assertThat(choice.weights).containsExactly(expected, within(1e-5f));
  }

  @Test
  void v3WithoutGroupsTakesTheBestOfAll() {
    Choice choice = route(new SigmoidNoAuxTc(16, 5, 1, 1, true, 1), logits(), BIAS);

    assertThat(choice.ids).containsExactly(0, 15, 10, 11, 8);
  }

  @Test
  void v2ChoosesFromTheGroupsWithTheLargestProbability() {
    SoftmaxGroupLimited spec = new SoftmaxGroupLimited(16, 3, 4, 2, false, 16);
    Choice choice = route(spec, logits(), null);

    assertThat(choice.ids).containsExactly(11, 0, 3);
    assertThat(choice.weights)
        .containsExactly(new float[] {2.878928f, 2.832506f, 1.047136f}, within(2e-6f));
  }

  @Test
  void v2LiteTakesTheLargestProbabilities() {
    Choice choice = route(new SoftmaxGreedy(16, 3, false, 1), logits(), null);

    assertThat(choice.ids).containsExactly(11, 0, 15);
    assertThat(choice.weights)
        .containsExactly(new float[] {0.179933f, 0.1770316f, 0.1413932f}, within(1e-6f));
  }

  @Test
  void softmaxRulesNormaliseOrScaleButNeverBoth() {
    float[] weights = route(new SoftmaxGreedy(16, 3, true, 16), logits(), null).weights;
    assertThat(weights[0] + weights[1] + weights[2]).isCloseTo(1f, within(1e-6f));
    assertThat(weights[0] / weights[1]).isCloseTo(0.179933f / 0.1770316f, within(1e-5f));

    float[] single = route(new SoftmaxGreedy(16, 1, true, 16), logits(), null).weights;
    assertThat(single[0]).isCloseTo(16 * 0.179933f, within(2e-5f));
  }

  @Test
  void v4ScoresWithTheRootOfSoftplus() {
    SqrtSoftplusNoAuxTc spec = new SqrtSoftplusNoAuxTc(16, 3, 1.5);
    Choice choice = route(spec, logits(), BIAS);

    assertThat(choice.ids).containsExactly(0, 15, 11);
    assertThat(choice.weights)
        .containsExactly(new float[] {0.507414f, 0.4834568f, 0.5091292f}, within(1e-6f));
  }

  @Test
  void v4WeighsExpertsThatAHashHasChosen() {
    SqrtSoftplusNoAuxTc spec = new SqrtSoftplusNoAuxTc(16, 3, 1.5);
    int[] ids = {-9, 7, 2, 11};
    float[] weights = new float[4];
    Router.weigh(spec, logits(), 0, ids, weights, 1, new RouterScratch(16));

    assertThat(weights)
        .containsExactly(new float[] {0f, 0.6407857f, 0.1783006f, 0.6809137f}, within(1e-6f));
    ids[2] = 16;
    assertThatThrownBy(
            () -> Router.weigh(spec, logits(), 0, ids, weights, 1, new RouterScratch(16)))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("must be in [0, 16): expertId=16");
  }

  @Test
  void softplusIsLinearForLargeLogits() {
    SqrtSoftplusNoAuxTc spec = new SqrtSoftplusNoAuxTc(2, 1, 1);
    float[] logits = {1e30f, -1e30f};
    Choice choice = route(spec, logits, null);

    assertThat(choice.ids).containsExactly(0);
    assertThat(choice.weights).containsExactly(1f);
    assertThat(route(spec, new float[] {900f, 901f}, null).ids).containsExactly(1);
  }

  @Test
  void equalScoresGoToTheLowestIndex() {
    float[] same = new float[16];

    assertThat(route(new SigmoidNoAuxTc(16, 3, 4, 2, true, 1), same, null).ids)
        .containsExactly(0, 1, 2);
    assertThat(route(new SoftmaxGroupLimited(16, 5, 4, 2, false, 1), same, null).ids)
        .containsExactly(0, 1, 2, 3, 4);
    assertThat(route(new SoftmaxGreedy(16, 2, false, 1), same, null).ids).containsExactly(0, 1);
    float[] late = {0f, 1f, 0f, 1f, 1f, 0f};
    assertThat(route(new SoftmaxGreedy(6, 4, false, 1), late, null).ids)
        .containsExactly(1, 3, 4, 0);
  }

  @Test
  void offsetsAreHonouredAndNothingElseIsWritten() {
    float[] logits = new float[20];
    System.arraycopy(logits(), 0, logits, 3, 16);
    int[] ids = {-7, -7, -7, -7, -7, -7};
    float[] weights = {-7, -7, -7, -7, -7, -7};
    SigmoidNoAuxTc spec = new SigmoidNoAuxTc(16, 3, 4, 2, true, 2.5);
    Router.route(spec, logits, 3, BIAS, ids, weights, 2, new RouterScratch(40));

    assertThat(ids).containsExactly(-7, -7, 0, 15, 14, -7);
    assertThat(weights)
        .containsExactly(
            new float[] {-7, -7, 0.9140415f, 0.8869976f, 0.6989609f, -7}, within(1e-6f));
  }

  @Test
  void keptExpertsWinAgainstMaskedOnesEvenIfTheirScoresAreMinusInfinity() {
    float[] bias = new float[8];
    Arrays.fill(bias, Float.NEGATIVE_INFINITY);
    bias[6] = 0f;
    bias[7] = 0f;
    SigmoidNoAuxTc spec = new SigmoidNoAuxTc(8, 4, 2, 1, true, 1);

    assertThat(route(spec, new float[8], bias).ids).containsExactly(6, 7, 4, 5);
  }

  @Test
  void aNanLogitIsChosenSoThatTheFaultShows() {
    float[] logits = logits();
    logits[9] = Float.NaN;
    Choice sigmoid = route(new SigmoidNoAuxTc(16, 3, 4, 2, true, 2.5), logits, BIAS);
    assertThat(sigmoid.ids[0]).isEqualTo(9);
    assertThat(sigmoid.weights[0]).isNaN();

    Choice softmax = route(new SoftmaxGreedy(16, 3, false, 1), logits, null);
    assertThat(softmax.ids).containsExactly(0, 1, 2);
    assertThat(softmax.weights[0]).isNaN();
  }

  @Test
  void argumentsThatDontFitTheRuleAreRejected() {
    RouterSpec spec = new SigmoidNoAuxTc(16, 3, 4, 2, true, 2.5);
    RouterSpec greedy = new SoftmaxGreedy(16, 3, false, 1);
    RouterScratch scratch = new RouterScratch(16);
    RouterScratch small = new RouterScratch(15);
    float[] logits = logits();
    int[] ids = new int[3];
    float[] weights = new float[3];

    assertThatThrownBy(() -> Router.route(spec, logits, 1, null, ids, weights, 0, scratch))
        .hasMessage("must hold 16 elements from 1: logits.length=16");
    assertThatThrownBy(() -> Router.route(spec, logits, 0, null, ids, weights, 1, scratch))
        .hasMessage("must hold 3 elements from 1: expertIds.length=3");
    assertThatThrownBy(() -> Router.route(spec, logits, 0, null, ids, new float[2], 0, scratch))
        .hasMessage("must hold 3 elements from 0: weights.length=2");
    assertThatThrownBy(() -> Router.route(spec, logits, 0, null, ids, weights, 0, small))
        .hasMessage("must be >= 16: scratch.numExperts=15");
    assertThatThrownBy(() -> Router.route(spec, logits, 0, new float[9], ids, weights, 0, scratch))
        .hasMessage("must be 16: bias.length=9");
    assertThatThrownBy(() -> Router.route(greedy, logits, 0, BIAS, ids, weights, 0, scratch))
        .hasMessage("must be null for a rule without bias: bias.length=16");
  }
}
