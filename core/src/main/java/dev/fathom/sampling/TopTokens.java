package dev.fathom.sampling;

import java.util.Arrays;

/**
 * The k largest values of a row with their ids, largest first, lower ids first on ties. Offered ids
 * must ascend. Allocates nothing after construction.
 */
final class TopTokens {

  private final int[] id;
  private final double[] value;
  private int wanted;
  private int size;

  TopTokens(int capacity) {
    this.id = new int[capacity];
    this.value = new double[capacity];
  }

  void reset(int k) {
    wanted = Math.min(k, id.length);
    size = 0;
  }

  void offer(int token, double score) {
    if (size == wanted && (wanted == 0 || score <= value[size - 1])) {
      return;
    }
    int at = size < wanted ? size++ : size - 1;
    while (at > 0 && value[at - 1] < score) {
      value[at] = value[at - 1];
      id[at] = id[at - 1];
      at--;
    }
    value[at] = score;
    id[at] = token;
  }

  boolean isWanted() {
    return wanted > 0;
  }

  int size() {
    return size;
  }

  int id(int i) {
    return id[i];
  }

  double value(int i) {
    return value[i];
  }

  @Override
  public String toString() {
    return Arrays.toString(Arrays.copyOf(id, size));
  }
}
