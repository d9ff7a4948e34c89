package dev.fathom.cpu;

import java.util.ArrayList;
import java.util.List;

/**
 * Linear layers that read the same input one after the other, such as gate with up, or queries,
 * keys and values: the input is arranged once, and the threads share out all their rows at once.
 */
final class JoinedLinears implements Operation, ThreadTeam.RangeWork {

  private final Step step;
  private final LinearOperation[] linears;

  private JoinedLinears(Step step, List<LinearOperation> linears) {
    this.step = step;
    this.linears = linears.toArray(new LinearOperation[0]);
  }

  /** Returns the operations with neighbours that share their input joined. */
  static List<Operation> join(Step step, List<Operation> operations) {
    List<Operation> joined = new ArrayList<>();
    for (int i = 0; i < operations.size(); ) {
      List<LinearOperation> linears = new ArrayList<>();
      for (int k = i; k < operations.size(); k++) {
        if (!(operations.get(k) instanceof LinearOperation next)
            || (k > i && !linears.getFirst().sharesInput(next))) {
          break;
        }
        linears.add(next);
      }
      joined.add(linears.size() < 2 ? operations.get(i) : new JoinedLinears(step, linears));
      i += Math.max(1, linears.size());
    }
    return joined;
  }

  @Override
  public void run() {
    long products = 0;
    int items = 0;
    int grain = linears[0].grain();
    for (LinearOperation linear : linears) {
      products += linear.products();
      items += filledUp(linear, grain);
    }
    linears[0].arrange();
    step.dispatch(products, items, grain, this);
    for (LinearOperation linear : linears) {
      linear.finish();
    }
  }

  /** Returns the rows, filled up so that those of the next matrix begin with a grain. */
  private static int filledUp(LinearOperation linear, int grain) {
    return Math.ceilDiv(linear.rows(), grain) * grain;
  }

  @Override
  public void run(int from, int to, int part) {
    int grain = linears[0].grain();
    int begin = 0;
    for (LinearOperation linear : linears) {
      int first = Math.max(from - begin, 0);
      int end = Math.min(to - begin, linear.rows());
      if (first < end) {
        linear.run(first, end, part);
      }
      begin += filledUp(linear, grain);
    }
  }
}
