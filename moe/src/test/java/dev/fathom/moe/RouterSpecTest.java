package dev.fathom.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.moe.RouterSpec.MaskedGroups;
import dev.fathom.moe.RouterSpec.SigmoidNoAuxTc;
import dev.fathom.moe.RouterSpec.SoftmaxGreedy;
import dev.fathom.moe.RouterSpec.SoftmaxGroupLimited;
import dev.fathom.moe.RouterSpec.SqrtSoftplusNoAuxTc;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

class RouterSpecTest {
  @Test
  void publishedShapesAreAccepted() {
    assertThat(new SigmoidNoAuxTc(256, 8, 8, 4, true, 2.5).maskedGroups())
        .isEqualTo(MaskedGroups.NEG_INFINITY);
    assertThat(new SoftmaxGroupLimited(160, 6, 8, 3, false, 16).topK()).isEqualTo(6);
    assertThat(new SoftmaxGreedy(64, 6, false, 1).usesBias()).isFalse();
    assertThat(new SqrtSoftplusNoAuxTc(256, 6, 1.5).usesBias()).isTrue();
  }

  @Test
  void kMustBeAtLeastOneAndFitTheExperts() {
    rejected("must be in [1, 4]: topK=0", () -> new SoftmaxGreedy(4, 0, false, 1));
    rejected("must be in [1, 4]: topK=5", () -> new SqrtSoftplusNoAuxTc(4, 5, 1));
    rejected("must be >= 1: numExperts=0", () -> new SoftmaxGreedy(0, 1, false, 1));
  }

  @Test
  void kMustFitTheKeptGroups() {
    rejected(
        "must be <= experts in the kept groups: topK=5 kept=4",
        () -> new SigmoidNoAuxTc(16, 5, 4, 1, true, 1));
    rejected(
        "must be <= experts in the kept groups: topK=9 kept=8",
        () -> new SoftmaxGroupLimited(16, 9, 4, 2, false, 1));
  }

  @Test
  void groupsMustDivideTheExperts() {
    rejected(
        "must divide the experts: numGroups=5 numExperts=16",
        () -> new SigmoidNoAuxTc(16, 1, 5, 1, true, 1));
    rejected("must be in [1, 16]: numGroups=0", () -> new SigmoidNoAuxTc(16, 1, 0, 1, true, 1));
    rejected("must be in [1, 4]: topKGroups=5", () -> new SigmoidNoAuxTc(16, 1, 4, 5, true, 1));
    rejected(
        "must be in [1, 4]: topKGroups=0", () -> new SoftmaxGroupLimited(16, 1, 4, 0, false, 1));
  }

  @Test
  void aGroupOfOneHasNoTwoBestExperts() {
    rejected(
        "must leave >= 2 experts a group: numExperts=4 numGroups=4",
        () -> new SigmoidNoAuxTc(4, 1, 4, 2, true, 1));
    assertThat(new SoftmaxGroupLimited(4, 1, 4, 2, false, 1).numGroups()).isEqualTo(4);
    assertThat(new SigmoidNoAuxTc(1, 1, 1, 1, true, 1).numExperts()).isEqualTo(1);
  }

  @Test
  void theScalingFactorMustBeFiniteAndPositive() {
    for (double bad : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
      String message = "must be finite and > 0: routedScalingFactor=" + bad;
      rejected(message, () -> new SigmoidNoAuxTc(4, 1, 2, 1, true, bad));
      rejected(message, () -> new SoftmaxGreedy(4, 1, true, bad));
      rejected(message, () -> new SoftmaxGroupLimited(4, 1, 2, 1, true, bad));
      rejected(message, () -> new SqrtSoftplusNoAuxTc(4, 1, bad));
    }
  }

  private static void rejected(String message, ThrowingCallable construction) {
    assertThatThrownBy(construction)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }
}
