package dev.fathom.cpu;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.ProgramSet;
import dev.fathom.backend.StepBatch;
import dev.fathom.cpu.kernel.Dot;
import dev.fathom.cpu.kernel.Sum;
import dev.fathom.program.WeightRef;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The low-rank adapters of an executable. Set between steps by the engine's thread; read by all
 * threads of a step.
 *
 * <p>Every vector is computed by one thread in one order, so that a result depends neither on the
 * number of threads nor on other sequences of the step.
 */
final class Adapters {

  static final int NUM_SLOTS = 64;

  private final Map<String, WeightRef> linears;
  private final Map<String, Site> sites = new HashMap<>();
  private final @Nullable Adapter[] slots = new Adapter[NUM_SLOTS];
  private final Step step;
  private final float[][] inner;
  private boolean active;

  /** What the adapters of all slots add to one linear. */
  static final class Site {

    private Adapter.@Nullable Delta[] bySlot = new Adapter.Delta[0];

    private void set(int slot, Adapter.@Nullable Delta delta) {
      if (slot >= bySlot.length) {
        if (delta == null) {
          return;
        }
        bySlot = Arrays.copyOf(bySlot, slot + 1);
      }
      bySlot[slot] = delta;
    }

    /** Returns what the adapter of a sequence adds, or null. */
    Adapter.@Nullable Delta of(StepBatch batch, int sequence) {
      int slot = batch.adapterSlot(sequence);
      return slot < 0 || slot >= bySlot.length ? null : bySlot[slot];
    }
  }

  /**
   * Creates empty slots.
   *
   * @param programs have the linears that adapters change
   * @param step lends each thread its scratch
   */
  Adapters(ProgramSet programs, Step step) {
    this.linears = programs.linears();
    this.step = step;
    this.inner = new float[step.threads()][0];
  }

  /** Returns the place of a linear where adapters attach. */
  Site site(WeightRef weight) {
    return sites.computeIfAbsent(weight.linearName(), name -> new Site());
  }

  void set(int slot, @Nullable Adapter adapter) {
    requireSlot(slot, 0);
    if (adapter != null) {
      adapter.requireFit(linears);
      for (Adapter.Delta delta : adapter.deltas().values()) {
        makeRoom(delta.rank());
      }
    }
    slots[slot] = adapter;
    sites.forEach(
        (name, site) -> site.set(slot, adapter == null ? null : adapter.deltas().get(name)));
  }

  private static void requireSlot(int slot, int first) {
    if (slot < first || slot >= NUM_SLOTS) {
      throw new IllegalArgumentException(
          "must be " + first + " <= slot < " + NUM_SLOTS + ": adapter slot=" + slot);
    }
  }

  private void makeRoom(int rank) {
    for (int i = 0; i < inner.length; i++) {
      inner[i] = rank > inner[i].length ? new float[rank] : inner[i];
    }
  }

  /**
   * Notes whether any sequence of a step has an adapter.
   *
   * @throws IllegalArgumentException for a slot that is none
   */
  void begin(StepBatch batch) {
    active = false;
    for (int s = 0; s < batch.numSequences(); s++) {
      int slot = batch.adapterSlot(s);
      requireSlot(slot, StepBatch.NO_ADAPTER);
      active |= slot >= 0 && slots[slot] != null;
    }
  }

  /** Returns whether any sequence of this step has an adapter. */
  boolean areActive() {
    return active;
  }

  /** Adds scale * (in * A^T) * B^T to out[outOff..]. */
  void add(
      Adapter.Delta delta, float scale, float[] in, int inOff, float[] out, int outOff, int part) {
    int rows = delta.b().length / delta.rank();
    project(delta, in, inOff, part);
    addRows(delta, scale, 0, rows, out, outOff, part);
  }

  /** Leaves in * A^T in the memory of a thread. */
  void project(Adapter.Delta delta, float[] in, int inOff, int part) {
    int cols = delta.a().length / delta.rank();
    for (int k = 0; k < delta.rank(); k++) {
      inner[part][k] = Dot.of(in, inOff, delta.a(), k * cols, cols, step.lanes(part));
    }
  }

  /** Adds scale times rows [from, to) of B times what {@link #project} left to out[outOff..]. */
  void addRows(
      Adapter.Delta delta, float scale, int from, int to, float[] out, int outOff, int part) {
    int rank = delta.rank();
    for (int r = from; r < to; r++) {
      float dot = Dot.of(inner[part], 0, delta.b(), r * rank, rank, step.lanes(part));
      out[outOff + r - from] += scale * dot;
    }
  }

  /** Adds scale * (in * rows [from, from + n) of B) * A to out[outOff..]. */
  void addTransposed(
      Adapter.Delta delta,
      int from,
      int n,
      float[] in,
      int inOff,
      float[] out,
      int outOff,
      int part) {
    int rank = delta.rank();
    int cols = delta.a().length / rank;
    Arrays.fill(inner[part], 0, rank, 0f);
    for (int i = 0; i < n; i++) {
      Sum.addScaled(in[inOff + i], delta.b(), (from + i) * rank, inner[part], 0, rank);
    }
    for (int k = 0; k < rank; k++) {
      Sum.addScaled(delta.scale() * inner[part][k], delta.a(), k * cols, out, outOff, cols);
    }
  }
}
