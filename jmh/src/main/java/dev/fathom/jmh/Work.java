package dev.fathom.jmh;

import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/** What the steps of an iteration did at least; JMH divides it by the time they took. */
@State(Scope.Thread)
@AuxCounters(AuxCounters.Type.OPERATIONS)
public class Work {

  /** Bytes that must come from memory: weights and cached keys and values, each once a step. */
  public double bytes;

  /** Bytes of data that stay in the processor's cache, read and written. */
  public double cachedBytes;

  /** Multiplications and additions of products. */
  public double flops;

  /** Creates counters at zero, as JMH does. */
  public Work() {}

  void add(Cost cost) {
    bytes += cost.bytes();
    cachedBytes += cost.cachedBytes();
    flops += cost.flops();
  }
}
