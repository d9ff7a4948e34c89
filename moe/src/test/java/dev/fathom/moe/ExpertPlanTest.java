package dev.fathom.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ExpertPlanTest {
  private static final int[] SIZES = {0, 1, 4, 6, 13, 25, 207, 702};

  @Test
  void theExampleOfTheJavadocHolds() {
    ExpertPlan plan = new ExpertPlan();
    plan.build(3, 2, new int[] {2, 0, 0, 3, 2, 3}, 4);

    assertThat(ids(plan, Column.TOKEN)).containsExactly(0, 1, 0, 2, 1, 2);
    assertThat(ids(plan, Column.SLOT)).containsExactly(1, 0, 0, 0, 1, 1);
    assertThat(new int[] {plan.offset(0), plan.offset(1), plan.offset(2), plan.offset(3)})
        .containsExactly(0, 2, 2, 4);
    assertThat(new int[] {plan.count(0), plan.count(1), plan.count(2), plan.count(3)})
        .containsExactly(2, 0, 2, 2);
    assertThat(plan.numActiveExperts()).isEqualTo(3);
    assertThat(plan.activeExpert(1)).isEqualTo(2);
  }

  private enum Column {
    TOKEN,
    SLOT
  }

  private static int[] ids(ExpertPlan plan, Column column) {
    int[] result = new int[plan.numAssignments()];
    for (int i = 0; i < result.length; i++) {
      result[i] = column == Column.TOKEN ? plan.tokenOf(i) : plan.slotOf(i);
    }
    return result;
  }

  @Test
  void aPlanUsedAgainAndAgainAlwaysEqualsOneThatCollectsLists() {
    SplittableRandom random = new SplittableRandom(41);
    ExpertPlan plan = new ExpertPlan();
    for (int round = 0; round < 300; round++) {
      int numTokens = SIZES[random.nextInt(SIZES.length)];
      int numExperts = random.nextInt(1, 70);
      int topK = random.nextInt(1, 9);
      int[] expertIds = new int[numTokens * topK + random.nextInt(3)];
      int used = random.nextInt(1, numExperts + 1);
      for (int a = 0; a < expertIds.length; a++) {
        expertIds[a] = random.nextInt(used);
      }
      plan.build(numTokens, topK, expertIds, numExperts);
      assertEqualsLists(plan, numTokens, topK, expertIds, numExperts);
    }
  }

  private static void assertEqualsLists(
      ExpertPlan plan, int numTokens, int topK, int[] expertIds, int numExperts) {
    List<List<Integer>> assignments = new ArrayList<>();
    for (int e = 0; e < numExperts; e++) {
      assignments.add(new ArrayList<>());
    }
    for (int a = 0; a < numTokens * topK; a++) {
      assignments.get(expertIds[a]).add(a);
    }
    int row = 0;
    int active = 0;
    for (int e = 0; e < numExperts; e++) {
      assertThat(plan.offset(e)).isEqualTo(row);
      assertThat(plan.count(e)).isEqualTo(assignments.get(e).size());
      if (plan.count(e) > 0) {
        assertThat(plan.activeExpert(active++)).isEqualTo(e);
      }
      for (int a : assignments.get(e)) {
        assertThat(plan.assignmentOf(row)).isEqualTo(a);
        assertThat(plan.tokenOf(row)).isEqualTo(a / topK);
        assertThat(plan.slotOf(row)).isEqualTo(a % topK);
        row++;
      }
    }
    assertThat(plan.numAssignments()).isEqualTo(row);
    assertThat(plan.numActiveExperts()).isEqualTo(active);
    assertThat(plan.numTokens()).isEqualTo(numTokens);
  }

  @Test
  void aBadExpertIdLeavesThePlanAsItWas() {
    ExpertPlan plan = new ExpertPlan();
    int[] good = {2, 0, 0, 3, 2, 3};
    plan.build(3, 2, good, 4);

    assertThatThrownBy(() -> plan.build(1, 2, new int[] {1, 4}, 4))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("must be in [0, 4): expertId=4");
    assertThatThrownBy(() -> plan.build(1, 1, new int[] {-1}, 4))
        .hasMessage("must be in [0, 4): expertId=-1");
    assertThatThrownBy(() -> plan.build(2, 2, new int[3], 4))
        .hasMessage("must hold 4 elements from 0: expertIds.length=3");
    assertEqualsLists(plan, 3, 2, good, 4);
  }

  @Test
  void sizesAndIndicesOutsideAreRejected() {
    ExpertPlan plan = new ExpertPlan();
    assertThat(plan.numAssignments()).isZero();
    assertThatThrownBy(() -> plan.build(-1, 1, new int[0], 1))
        .hasMessage("must be >= 0: numTokens=-1");
    assertThatThrownBy(() -> plan.build(1, 0, new int[0], 1)).hasMessage("must be >= 1: topK=0");
    assertThatThrownBy(() -> plan.build(1, 1, new int[1], 0))
        .hasMessage("must be >= 1: numExperts=0");
    plan.build(8, 1, new int[8], 8);
    plan.build(1, 1, new int[] {1}, 2);
    assertThatThrownBy(() -> plan.offset(2)).hasMessage("must be in [0, 2): e=2");
    assertThatThrownBy(() -> plan.count(-1)).hasMessage("must be in [0, 2): e=-1");
    assertThatThrownBy(() -> plan.tokenOf(1)).hasMessage("must be in [0, 1): i=1");
    assertThatThrownBy(() -> plan.activeExpert(1)).hasMessage("must be in [0, 1): j=1");
  }

  @Test
  void buildingAPlanThatIsNotLargerAllocatesNothing() {
    ExpertPlan plan = new ExpertPlan();
    ExpertLoad load = new ExpertLoad(64);
    int[] expertIds = new int[64 * 8];
    for (int a = 0; a < expertIds.length; a++) {
      expertIds[a] = a * 7 % 64;
    }
    plan.build(64, 8, expertIds, 64);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long allocated = Long.MAX_VALUE;
    for (int round = 0; round < 5 && allocated > 0; round++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 500; i++) {
        plan.build(1 + i % 64, 8, expertIds, 64);
        load.add(plan);
      }
      allocated = threads.getCurrentThreadAllocatedBytes() - before;
    }
    assertThat(allocated).isZero();
  }

  @Test
  void theLoadCountsAssignmentsAndTheirBalance() {
    ExpertPlan plan = new ExpertPlan();
    ExpertLoad load = new ExpertLoad(4);
    assertThat(load.balancedness()).isEqualTo(1.0);
    plan.build(3, 2, new int[] {2, 0, 0, 3, 2, 3}, 4);
    load.add(plan);
    load.add(plan);

    assertThat(load.counts()).containsExactly(4, 0, 4, 4);
    assertThat(load.count(3)).isEqualTo(4);
    assertThat(load.total()).isEqualTo(12);
    assertThat(load.balancedness()).isEqualTo(0.75);
    load.counts()[0] = 99;
    assertThat(load.count(0)).isEqualTo(4);
    load.reset();
    assertThat(load.total()).isZero();
    assertThat(load.counts()).containsOnly(0L);
    assertThatThrownBy(() -> new ExpertLoad(5).add(plan))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be 5: plan.numExperts=4");
  }

  @Test
  void anExpertThatDoesEverythingHasBalancednessOneOverE() {
    ExpertPlan plan = new ExpertPlan();
    ExpertLoad load = new ExpertLoad(8);
    plan.build(5, 1, new int[5], 8);
    load.add(plan);

    assertThat(load.balancedness()).isEqualTo(0.125);
  }
}
