package dev.fathom.engine;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.Executable;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.backend.StepOutput;
import dev.fathom.sampling.CounterRandom;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A {@link TaggedExecutable} with a draft program whose states are tags: it knows what the main
 * program will say, and is wrong about it in some cases.
 *
 * <p>Each draft step is checked: a token continues a state of the position that it names, a state
 * of the main program first and its own later, and finds its own cache complete: at every earlier
 * position the tag that the main program has one position later.
 */
final class DraftingExecutable implements Executable {

  final TaggedExecutable main;
  private final double wrong;
  private final SampledRows sampled;
  private final Map<Integer, Long> cache = new HashMap<>();
  private final int blockTokens;
  private long[] states = {};
  private int[] positions = {};
  private boolean followsMain;
  final AtomicInteger numDraftSteps = new AtomicInteger();
  final AtomicInteger numGaps = new AtomicInteger();
  volatile int failAt = -1;

  /** Creates it; wrong is the share of drafts that miss. */
  DraftingExecutable(EngineOptions options, double wrong) {
    this.main = new TaggedExecutable(options);
    this.wrong = wrong;
    this.sampled = new SampledRows(options.maxRows(), 20);
    this.blockTokens = options.pools().getFirst().blockTokens();
  }

  @Override
  public int numPrograms() {
    return 2;
  }

  @Override
  public StepBatch newBatch() {
    return main.newBatch();
  }

  @Override
  public StepHandle submit(StepBatch batch, SamplingRows rows, RowSampler sampler) {
    batch.validateProgram(2, states.length);
    if (batch.program() == 1) {
      return draft(batch, rows, sampler);
    }
    StepHandle handle = main.submit(batch, rows, sampler);
    long[] tags = new long[batch.numTokens()];
    int[] at = new int[tags.length];
    for (int t = 0; t < tags.length; t++) {
      at[t] = batch.position(t);
      tags[t] = main.tagAt(batch, batch.sequenceOf(t), at[t]);
    }
    states = tags;
    positions = at;
    followsMain = true;
    return handle;
  }

  private StepHandle draft(StepBatch batch, SamplingRows rows, RowSampler sampler) {
    batch.validate(TaggedExecutable.VOCAB, 0);
    if (numDraftSteps.incrementAndGet() == failAt) {
      throw new IllegalStateException("a draft step that fails");
    }
    long[] tags = new long[batch.numTokens()];
    int[] at = new int[tags.length];
    for (int t = 0; t < tags.length; t++) {
      at[t] = batch.position(t);
      int expected = positions[batch.hidden(t)] + (followsMain ? 0 : 1);
      if (at[t] != expected) {
        throw new AssertionError("position " + at[t] + " continues the state of " + expected);
      }
      tags[t] = TaggedExecutable.next(states[batch.hidden(t)], batch.token(t));
      cache.put(slot(batch, batch.sequenceOf(t), at[t]), Long.hashCode(tags[t]) + 0L);
    }
    for (int s = 0; s < batch.numSequences(); s++) {
      checkCache(batch, s);
    }
    sample(batch, tags, rows, sampler);
    states = tags;
    positions = at;
    followsMain = false;
    return new Handle();
  }

  private void checkCache(StepBatch batch, int s) {
    int end = batch.position(batch.firstToken(s));
    for (int p = 0; followsMain && p < end; p++) {
      long want = Long.hashCode(main.tagAt(batch, s, p + 1));
      Long got = cache.get(slot(batch, s, p));
      numGaps.addAndGet(got == null || got != want ? 1 : 0);
    }
  }

  private int slot(StepBatch batch, int s, int position) {
    return batch.block(s, 0, position / blockTokens) * blockTokens + position % blockTokens;
  }

  private void sample(StepBatch batch, long[] tags, SamplingRows rows, RowSampler sampler) {
    float[] logits = new float[TaggedExecutable.VOCAB];
    for (int s = 0; s < batch.numSequences(); s++) {
      for (int r = batch.firstRow(s); r < batch.firstRow(s + 1); r++) {
        long tag = tags[batch.tokenOfRow(s, r)];
        boolean misses = CounterRandom.uniform(tag, 77) < wrong;
        TaggedExecutable.logitsOf(misses ? tag + 1 : tag, logits, 0, false);
        sampler.sample(rows, r, logits, 0, logits.length, sampled);
      }
    }
  }

  private final class Handle implements StepHandle {

    @Override
    public void await() {
      // submit() ran the step.
    }

    @Override
    public SampledRows sampled() {
      return sampled;
    }

    @Override
    public StepOutput output(String name) {
      throw new UnsupportedOperationException(name);
    }
  }

  @Override
  public void setAdapter(int slot, @Nullable Adapter adapter) {
    main.setAdapter(slot, adapter);
  }

  @Override
  public int numAdapterSlots() {
    return main.numAdapterSlots();
  }

  @Override
  public int numKvGroups() {
    return main.numKvGroups();
  }

  @Override
  public long blockBytes(int group) {
    return main.blockBytes(group);
  }

  @Override
  public void exportBlock(int group, int block, MemorySegment target) {
    main.exportBlock(group, block, target);
  }

  @Override
  public void importBlock(int group, int block, MemorySegment source) {
    main.importBlock(group, block, source);
  }

  @Override
  public void close() {
    main.close();
  }
}
