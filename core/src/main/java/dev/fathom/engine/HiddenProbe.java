package dev.fathom.engine;

import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.backend.StepOutput;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.kvcache.SequenceBlocks;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/**
 * Takes texts through the model and pools their hidden states: as many texts at once as fit a step,
 * long ones in chunks, each in blocks of its own. No logits are computed.
 *
 * <p>A text's result depends on nothing but its tokens and adapter: sums run over its positions in
 * order, in float64. The engine's thread owns all but the future.
 */
final class HiddenProbe implements Probe {

  private final String output;
  private final boolean mean;
  private final int adapterSlot;
  private final EngineOptions options;
  private final List<int[]> texts;
  private final List<Text> active = new ArrayList<>();
  private final float[][] results;
  private int next;
  private final CompletableFuture<float[][]> future = new CompletableFuture<>();

  /** A text on its way. */
  private static final class Text {
    private final int index;
    private final int[] ids;
    private final SequenceBlocks blocks;
    private double[] sum = {};
    private int numDone;
    private int numPlanned;

    Text(int index, int[] ids, SequenceBlocks blocks) {
      this.index = index;
      this.ids = ids;
      this.blocks = blocks;
    }
  }

  /**
   * Prepares texts.
   *
   * @param texts 1 to contextTokens tokens each; not copied
   * @param output name of the hidden states [T, C] among the outputs
   * @param mean whether all positions are averaged, or the last one is taken
   */
  HiddenProbe(
      List<int[]> texts, String output, boolean mean, int adapterSlot, EngineOptions options) {
    this.texts = texts;
    this.output = output;
    this.mean = mean;
    this.adapterSlot = adapterSlot;
    this.options = options;
    this.results = new float[texts.size()][];
    if (texts.isEmpty()) {
      future.complete(results);
    }
  }

  /** Waits for the vectors, on the calling thread. */
  float[][] await() {
    try {
      return future.get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException cause
          ? cause
          : RequestTable.asFailure(e.getCause() == null ? e : e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new GenerationException(
          ErrorCode.GENERATION_CANCELLED,
          "The texts were not embedded",
          "the waiting thread was interrupted",
          "call again without interrupting",
          e);
    }
  }

  /** Takes further texts on while there is room, and plans the tokens of the next step. */
  @Override
  public boolean pin(Scheduler scheduler) {
    int budget = options.stepTokens();
    for (int i = active.size() - 1; i >= 0; i--) {
      if (active.get(i).numDone == active.get(i).ids.length) {
        scheduler.unpin(active.remove(i).blocks);
      }
    }
    for (Text text : active) {
      budget -= plan(scheduler, text, budget);
    }
    while (next < texts.size() && active.size() < options.maxSequences() && budget > 0) {
      int[] ids = texts.get(next);
      SequenceBlocks blocks = scheduler.pin(ids.length);
      if (blocks == null) {
        break;
      }
      Text text = new Text(next++, ids, blocks);
      active.add(text);
      budget -= plan(scheduler, text, budget);
    }
    return budget < options.stepTokens();
  }

  private int plan(Scheduler scheduler, Text text, int budget) {
    int left = text.ids.length - text.numDone;
    int tokens = Math.min(Math.min(budget, options.chunkTokens()), left);
    int end = text.numDone + tokens;
    text.numPlanned = scheduler.extendPinned(text.blocks, text.numDone, end) ? tokens : 0;
    return text.numPlanned;
  }

  @Override
  public void unpin(Scheduler scheduler) {
    active.forEach(text -> scheduler.unpin(text.blocks));
    active.clear();
    next = texts.size();
  }

  @Override
  public boolean run(StepRunner steps, StepBatch batch, SamplingRows rows) {
    batch.clear();
    rows.clear();
    active.forEach(text -> add(batch, text));
    StepHandle handle = steps.run(batch, rows, Probe::ignore);
    take(handle.output(output));
    return next < texts.size() || !active.stream().allMatch(t -> t.numDone == t.ids.length);
  }

  private void add(StepBatch batch, Text text) {
    if (text.numPlanned == 0) {
      return;
    }
    batch.addSequence(adapterSlot, 0);
    for (int g = 0; g < text.blocks.numGroups(); g++) {
      batch.addTable(g, text.blocks.table(g));
    }
    for (int i = 0; i < text.numPlanned; i++) {
      batch.addToken(text.ids[text.numDone + i], text.numDone + i);
    }
  }

  private void take(StepOutput hidden) {
    int row = 0;
    for (Text text : active) {
      for (int i = 0; i < text.numPlanned; i++, row++) {
        text.numDone++;
        take(text, hidden.data(), row * hidden.width(), hidden.width());
      }
    }
  }

  private void take(Text text, float[] data, int from, int width) {
    boolean last = text.numDone == text.ids.length;
    if (!mean) {
      results[text.index] = last ? Arrays.copyOfRange(data, from, from + width) : new float[0];
      return;
    }
    if (text.sum.length == 0) {
      text.sum = new double[width];
    }
    for (int i = 0; i < width; i++) {
      text.sum[i] += data[from + i];
    }
    if (last) {
      float[] pooled = new float[width];
      for (int i = 0; i < width; i++) {
        pooled[i] = (float) (text.sum[i] / text.ids.length);
      }
      results[text.index] = pooled;
    }
  }

  @Override
  public void end(Scheduler scheduler, Runnable freed) {
    unpin(scheduler);
    freed.run();
    future.complete(results);
  }

  @Override
  public void fail(RuntimeException cause) {
    future.completeExceptionally(cause);
  }
}
