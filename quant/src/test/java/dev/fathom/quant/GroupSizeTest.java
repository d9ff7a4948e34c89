package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class GroupSizeTest {
  @Test
  void aGroupThatDividesIsKept() {
    assertThat(GroupSize.fit(128, 7168)).isEqualTo(128);
    assertThat(GroupSize.fit(32, 32)).isEqualTo(32);
    assertThat(GroupSize.fit(5, 25)).isEqualTo(5);
  }

  @Test
  void aSmallerPublishedGroupComesBeforeAnOddDivisor() {
    assertThat(GroupSize.fit(128, 576)).isEqualTo(64);
    assertThat(GroupSize.fit(128, 1120)).isEqualTo(32);
    assertThat(GroupSize.fit(128, 64)).isEqualTo(64);
  }

  @Test
  void otherwiseTheLargestDivisorIsTaken() {
    assertThat(GroupSize.fit(128, 24)).isEqualTo(24);
    assertThat(GroupSize.fit(32, 40)).isEqualTo(20);
    assertThat(GroupSize.fit(128, 25)).isEqualTo(25);
    assertThat(GroupSize.fit(32, 702)).isEqualTo(27);
    assertThat(GroupSize.fit(128, 1)).isEqualTo(1);
    assertThat(GroupSize.fit(32, 48)).isEqualTo(24);
  }

  @Test
  void aRowWithoutUsefulDivisorIsOneGroup() {
    assertThat(GroupSize.fit(128, 131)).isEqualTo(131);
    assertThat(GroupSize.fit(32, 2 * 37)).isEqualTo(74);
  }

  @Test
  void theResultAlwaysDivides() {
    for (int requested : new int[] {1, 7, 32, 64, 100, 128}) {
      for (int cols = 1; cols < 700; cols++) {
        int group = GroupSize.fit(requested, cols);
        assertThat(cols % group).isZero();
        assertThat(group <= requested || group == cols).isTrue();
      }
    }
  }

  @Test
  void sizesBelowOneAreRefused() {
    assertThatThrownBy(() -> GroupSize.fit(0, 8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be >= 1: requested=0");
    assertThatThrownBy(() -> GroupSize.fit(8, 0)).hasMessage("must be >= 1: cols=0");
  }
}
