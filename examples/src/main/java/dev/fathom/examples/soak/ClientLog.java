package dev.fathom.examples.soak;

import java.util.Map;
import java.util.TreeMap;

/** What all clients saw, by kind. Safe for several threads. */
final class ClientLog {

  private final Map<String, Integer> seen = new TreeMap<>();
  private int unexpected;

  synchronized void add(String kind) {
    seen.merge(kind, 1, Integer::sum);
  }

  synchronized void addUnexpected(Throwable failure) {
    unexpected++;
    add("unexpected " + failure);
  }

  synchronized int unexpected() {
    return unexpected;
  }

  @Override
  public synchronized String toString() {
    return seen.toString();
  }
}
