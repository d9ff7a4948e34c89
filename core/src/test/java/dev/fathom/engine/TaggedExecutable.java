package dev.fathom.engine;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.backend.StepOutput;
import dev.fathom.kvcache.GroupPool;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvGroups;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.sampling.CounterRandom;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * An executable whose cache holds, for each token, a tag of everything before it.
 *
 * <p>Each step walks the block tables it is given and checks the whole chain of tags: a wrong
 * table, a missing copy, a block used twice or a stale one fails at once. Logits are a function of
 * the last tag, so what a request puts out is a function of its prompt and seed alone.
 */
final class TaggedExecutable implements Executable {

  static final int VOCAB = 64;

  /** A prompt with this token gets logits that are all NaN; it is never put out. */
  static final int POISON = 63;

  private static final long ROOT = 0x1234567L;

  /** Looks at a step before it runs; what it throws fails the step. */
  @FunctionalInterface
  interface Gate {
    void before(StepBatch batch);
  }

  private final CompileOptions options;
  private final long[] tags;
  private final int[] tokens;
  private final float[] logits;
  private final SampledRows sampled;
  volatile Gate gate = batch -> {};
  volatile boolean closed;
  final AtomicInteger numSteps = new AtomicInteger();
  volatile int largestStep;

  TaggedExecutable(EngineOptions engine) {
    GroupPool pool = engine.pools().getFirst();
    this.options =
        new CompileOptions(
            engine.stepTokens(),
            engine.maxSequences(),
            engine.maxRows(),
            pool.blockTokens(),
            pool.numBlocks(),
            pool.blocks(engine.contextTokens()),
            KvFormat.F32,
            LatentForm.AUTO,
            Set.of());
    this.tags = new long[pool.numBlocks() * pool.blockTokens()];
    this.tokens = new int[tags.length];
    this.logits = new float[engine.maxRows() * VOCAB];
    this.sampled = new SampledRows(engine.maxRows(), 20);
  }

  static long root() {
    return ROOT;
  }

  static long next(long tag, int token) {
    return CounterRandom.bits(tag, token);
  }

  static void logitsOf(long tag, float[] out, int offset, boolean poisoned) {
    for (int i = 0; i < VOCAB; i++) {
      out[offset + i] = poisoned ? Float.NaN : (float) (8 * CounterRandom.uniform(tag, -1L - i));
    }
    out[offset + POISON] = Float.NEGATIVE_INFINITY;
  }

  @Override
  public StepBatch newBatch() {
    return new StepBatch(options, KvGroups.of(List.of(new KvSpec.Full(0, 1, 1))));
  }

  @Override
  public StepHandle submit(StepBatch batch, SamplingRows rows, RowSampler sampler) {
    gate.before(batch);
    batch.validate(VOCAB, 0);
    numSteps.incrementAndGet();
    largestStep = Math.max(largestStep, batch.numTokens());
    for (int c = 0; c < batch.numCopies(); c++) {
      copy(batch.copySource(c), batch.copyDestination(c));
    }
    for (int s = 0; s < batch.numSequences(); s++) {
      run(batch, s);
    }
    for (int row = 0; row < batch.numRows(); row++) {
      sampler.sample(
          rows, row, Arrays.copyOfRange(logits, row * VOCAB, (row + 1) * VOCAB), 0, VOCAB, sampled);
    }
    return new Finished(batch.numRows());
  }

  private void copy(int source, int destination) {
    int b = options.blockTokens();
    System.arraycopy(tags, source * b, tags, destination * b, b);
    System.arraycopy(tokens, source * b, tokens, destination * b, b);
  }

  /** Returns the tag of a sequence's prefix that ends with a position. */
  long tagAt(StepBatch batch, int s, int position) {
    return tags[slot(batch, s, position)];
  }

  private int slot(StepBatch batch, int s, int position) {
    int b = options.blockTokens();
    return batch.block(s, 0, position / b) * b + position % b;
  }

  private void run(StepBatch batch, int s) {
    int first = batch.position(batch.firstToken(s));
    long tag = ROOT;
    boolean poisoned = false;
    for (int p = 0; p < first; p++) {
      int slot = slot(batch, s, p);
      tag = next(tag, tokens[slot]);
      poisoned |= tokens[slot] == POISON;
      if (tags[slot] != tag) {
        throw new IllegalStateException("wrong tag: sequence=" + s + " position=" + p);
      }
    }
    for (int t = batch.firstToken(s); t < batch.firstToken(s + 1); t++) {
      int slot = slot(batch, s, batch.position(t));
      tag = next(tag, batch.token(t));
      poisoned |= batch.token(t) == POISON;
      tags[slot] = tag;
      tokens[slot] = batch.token(t);
      int row = batch.firstRow(s) + t - batch.firstToken(s + 1) + batch.numWanted(s);
      if (row >= batch.firstRow(s)) {
        logitsOf(tag, logits, row * VOCAB, poisoned);
      }
    }
  }

  @Override
  public void setAdapter(int slot, @Nullable Adapter adapter) {
    throw new UnsupportedOperationException("no adapters");
  }

  @Override
  public int numAdapterSlots() {
    return 0;
  }

  @Override
  public int numKvGroups() {
    return 1;
  }

  @Override
  public long blockBytes(int group) {
    return 0;
  }

  @Override
  public void exportBlock(int group, int block, MemorySegment target) {
    throw new UnsupportedOperationException("no export");
  }

  @Override
  public void importBlock(int group, int block, MemorySegment source) {
    throw new UnsupportedOperationException("no import");
  }

  @Override
  public void close() {
    closed = true;
  }

  private final class Finished implements StepHandle {

    private final int numRows;

    Finished(int numRows) {
      this.numRows = numRows;
    }

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
      return new StepOutput(logits, numRows, VOCAB);
    }
  }
}
