package dev.fathom.cpu;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.StepBatch;
import dev.fathom.cpu.kernel.Dot;
import dev.fathom.cpu.kernel.Lanes;
import dev.fathom.error.Text;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The low-rank adapters of an executable; applied by the engine's thread. */
final class Adapters {

  static final int NUM_SLOTS = 8;

  private final @Nullable Adapter[] slots = new Adapter[NUM_SLOTS];
  private final Map<String, WeightRef> linears = new HashMap<>();
  private final float[] lanes = new float[Lanes.scratchLen()];
  private float[] inner = {};

  Adapters(Program program) {
    for (Op op : program.ops()) {
      if (op instanceof Op.Linear linear) {
        linears.put(linear.name(), linear.weight());
      } else if (op instanceof Op.Logits logits) {
        linears.put(logits.name(), logits.weight());
      }
    }
  }

  void set(int slot, @Nullable Adapter adapter) {
    if (slot < 0 || slot >= NUM_SLOTS) {
      throw new IllegalArgumentException("must be 0 <= slot < " + NUM_SLOTS + ": slot=" + slot);
    }
    if (adapter != null) {
      adapter.deltas().forEach(this::check);
    }
    slots[slot] = adapter;
  }

  private void check(String name, Adapter.Delta delta) {
    WeightRef weight = linears.get(name);
    boolean fits =
        weight == null
            || (delta.a().length == (long) delta.rank() * weight.cols()
                && delta.b().length == (long) delta.rank() * weight.rows());
    if (!fits) {
      throw new IllegalArgumentException(
          "adapter: expected factors of " + weight + ", got other sizes for " + Text.quote(name));
    }
    if (delta.rank() > inner.length) {
      inner = new float[delta.rank()];
    }
  }

  /** Returns what a sequence's adapter adds to a linear, or null. */
  Adapter.@Nullable Delta find(StepBatch batch, int sequence, String name) {
    int slot = batch.adapterSlot(sequence);
    Adapter adapter = slot == StepBatch.NO_ADAPTER ? null : slots[slot];
    return adapter == null ? null : adapter.deltas().get(name);
  }

  /** Adds scale * (in * A^T) * B^T to out[outOff..]. */
  void add(Adapter.Delta delta, float[] in, int inOff, float[] out, int outOff) {
    int rank = delta.rank();
    int cols = delta.a().length / rank;
    int rows = delta.b().length / rank;
    for (int k = 0; k < rank; k++) {
      inner[k] = Dot.of(in, inOff, delta.a(), k * cols, cols, lanes);
    }
    for (int r = 0; r < rows; r++) {
      out[outOff + r] += delta.scale() * Dot.of(inner, 0, delta.b(), r * rank, rank, lanes);
    }
  }
}
