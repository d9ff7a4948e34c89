package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.Order;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.moe.ExpertPlan;
import java.util.List;
import java.util.stream.Stream;

/**
 * The inputs of the gates and ups of a mixture, in each {@link Order} that a matrix of an active
 * expert wants: one after the other in the memory of arranged vectors, natural ones where they are.
 */
final class ExpertInputs {

  private final Step step;
  private final float[] in;
  private final int hidden;
  private final List<Order> orders;
  private final int[] begins;
  private final int[] wanted;

  ExpertInputs(Step step, float[] in, int hidden, MoeOperation.ExpertMatrices[] experts) {
    this.step = step;
    this.in = in;
    this.hidden = hidden;
    this.orders =
        Stream.of(experts)
            .flatMap(e -> Stream.of(e.gate().order(), e.up().order()))
            .filter(order -> order != Order.NATURAL)
            .distinct()
            .toList();
    this.begins = new int[orders.size()];
    for (int i = 1; i < begins.length; i++) {
      int len = orders.get(i - 1).len(hidden);
      begins[i] = begins[i - 1] + Sizes.elements(step.options().maxTokens(), len);
    }
    this.wanted = new int[experts.length];
    for (int e = 0; e < wanted.length; e++) {
      wanted[e] = bit(experts[e].gate().order()) | bit(experts[e].up().order());
    }
  }

  private int bit(Order order) {
    int i = orders.indexOf(order);
    return i < 0 ? 0 : 1 << i;
  }

  /** Returns where the rows of the expert plan find their tokens for a matrix. */
  Vectors of(Matrix matrix, int[] tokenOf) {
    int i = orders.indexOf(matrix.order());
    Vectors inputs = step.inputs(matrix.order(), in, hidden);
    return new Vectors(inputs.data(), inputs.stride(), tokenOf, i < 0 ? 0 : begins[i]);
  }

  /** Brings the tokens of the step into each order that an active expert of a plan wants. */
  void arrange(ExpertPlan plan) {
    int bits = 0;
    for (int j = 0; j < plan.numActiveExperts(); j++) {
      bits |= wanted[plan.activeExpert(j)];
    }
    for (int i = 0; i < begins.length; i++) {
      if ((bits & 1 << i) != 0) {
        step.arrange(orders.get(i), in, hidden, step.identity(), step.numTokens(), begins[i]);
      }
    }
  }
}
