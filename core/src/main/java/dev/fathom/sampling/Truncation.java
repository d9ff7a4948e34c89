package dev.fathom.sampling;

/**
 * Finds how much of a row top-k, top-p and min-p keep, without sorting it.
 *
 * <p>Works on candidates c = 0, 1, ... in the order of their token ids, each with a weight in (0,
 * 1] that is its probability up to a factor; the best has weight 1. Candidates are ranked by
 * weight, lower ids first on ties; what is kept is always a head of that ranking, which a cut
 * describes: the weight and the index of its last candidate. A quickselect finds the cut in
 * O(candidates).
 *
 * <p>Buffers grow to the largest row seen and are then reused. One thread.
 */
final class Truncation {

  /**
   * How far below topP a set may stay and count as reaching it: topP itself is a float, as are the
   * logits.
   */
  static final double REACH_TOLERANCE = 1e-7;

  private int[] order = new int[0];
  private double[] weight = new double[0];
  private int kept;
  private double cutWeight;
  private int cutIndex;

  /** Sets the candidates: the first n of the weights, which are not changed. */
  void start(double[] weights, int n) {
    weight = weights;
    kept = n;
    cutWeight = 0;
    cutIndex = n - 1;
    if (order.length < n) {
      order = new int[weights.length];
    }
    for (int c = 0; c < n; c++) {
      order[c] = c;
    }
  }

  /** Keeps the k first of the ranking. */
  void topK(int k) {
    if (k >= kept) {
      return;
    }
    int lo = 0;
    int hi = kept;
    while (hi - lo > 1) {
      int pivotAt = partition(lo, hi);
      if (pivotAt == k - 1) {
        break;
      }
      if (pivotAt >= k) {
        hi = pivotAt;
      } else {
        lo = pivotAt + 1;
      }
    }
    cutAt(k);
  }

  /** Keeps the smallest head of the ranking whose share of what is left reaches p. */
  void topP(double p) {
    double total = 0;
    for (int i = 0; i < kept; i++) {
      total += weight[order[i]];
    }
    double wanted = Math.max(0, p - REACH_TOLERANCE) * total;
    dropHopeless(total - wanted);
    double before = 0;
    int lo = 0;
    int hi = kept;
    while (hi - lo > 1) {
      int pivotAt = partition(lo, hi);
      double head = 0;
      for (int i = lo; i < pivotAt; i++) {
        head += weight[order[i]];
      }
      if (before + head >= wanted) {
        hi = Math.max(pivotAt, lo + 1);
      } else {
        before += head + weight[order[pivotAt]];
        lo = pivotAt + 1;
        if (before >= wanted) {
          hi = lo;
        }
      }
    }
    cutAt(Math.min(kept, Math.max(hi, 1)));
  }

  /**
   * Drops candidates that top-p cannot reach, in one pass: all lighter than the mean share of the
   * rest together weigh less than the rest.
   *
   * @param rest weight that top-p leaves out
   */
  private void dropHopeless(double rest) {
    double least = rest / kept;
    int n = 0;
    for (int i = 0; i < kept; i++) {
      if (weight[order[i]] >= least) {
        order[n++] = order[i];
      }
    }
    kept = Math.max(n, 1);
  }

  /** Returns whether what is kept has this candidate. */
  boolean keeps(int c) {
    return weight[c] > cutWeight || (weight[c] == cutWeight && c <= cutIndex);
  }

  private void cutAt(int n) {
    kept = n;
    int last = order[0];
    for (int i = 1; i < n; i++) {
      if (before(last, order[i])) {
        last = order[i];
      }
    }
    cutWeight = weight[last];
    cutIndex = last;
  }

  /** Whether a ranks before b. */
  private boolean before(int a, int b) {
    return weight[a] > weight[b] || (weight[a] == weight[b] && a < b);
  }

  /**
   * Moves what ranks before a pivot in front of it and the rest behind it.
   *
   * @return where the pivot is
   */
  private int partition(int lo, int hi) {
    swap(medianOfThree(lo, lo + (hi - lo) / 2, hi - 1), hi - 1);
    int pivot = order[hi - 1];
    int at = lo;
    for (int i = lo; i < hi - 1; i++) {
      if (before(order[i], pivot)) {
        swap(i, at++);
      }
    }
    swap(at, hi - 1);
    return at;
  }

  private int medianOfThree(int i, int j, int k) {
    int a = order[i];
    int b = order[j];
    int c = order[k];
    if (before(a, b)) {
      return before(b, c) ? j : before(a, c) ? k : i;
    }
    return before(a, c) ? i : before(b, c) ? k : j;
  }

  private void swap(int i, int j) {
    int t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
}
