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
import dev.fathom.kvcache.KvGroup;
import dev.fathom.kvcache.SequenceBlocks;
import dev.fathom.sampling.CounterRandom;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A backend whose cache holds, for each token, a tag of everything before it and of the tenant, in
 * groups of every kind: full, windowed and compressed. It reads just what a model would read and
 * compares it with what the sequence should have there, so that a wrong table, a missing copy, a
 * stale or foreign block, a block used twice and a wrong restart fail at once.
 *
 * <p>Logits are a function of the last tag: what a request puts out is a function of its tenant,
 * prompt and seed.
 */
final class SimulatedCache implements Executable {

  static final int VOCAB = 12;
  private static final long ROOT = 0x5EEDL;

  /** Tells of the step that is about to run what the batch does not say. */
  interface Observer {
    /** Called first; what it throws fails the step. */
    void before(StepBatch batch);

    /** Called when a sequence was computed; what it throws fails the step half done. */
    void computed(int sequence);

    /** The sequence whose tokens the i-th of the step should be. */
    Sequence sequence(int i);
  }

  private final CompileOptions options;
  private final List<KvGroup> groups;
  private final int[] slots;
  private final GroupPool[] pools;
  private final long[][] tags;
  private final int[][] writtenIn;
  private final float[] logits;
  private final SampledRows sampled;
  private final boolean dropsCopies;
  private Observer observer;
  private long[] chain = new long[64];
  private int numRows;
  private int numSubmitted;
  private int numComputed;
  private @Nullable Throwable violation;

  SimulatedCache(EngineOptions engine, List<KvGroup> groups, int blockTokens, boolean dropsCopies) {
    this.groups = groups;
    this.dropsCopies = dropsCopies;
    int context = engine.contextTokens();
    this.options =
        new CompileOptions(
            engine.stepTokens(),
            engine.maxSequences(),
            engine.maxRows(),
            blockTokens,
            engine.pools().stream().map(GroupPool::numBlocks).toList(),
            Math.ceilDiv(context, blockTokens),
            KvFormat.F32,
            LatentForm.AUTO,
            Set.of());
    int n = groups.size();
    this.slots = new int[n];
    this.pools = new GroupPool[n];
    this.tags = new long[n][];
    this.writtenIn = new int[n][];
    for (int g = 0; g < n; g++) {
      KvGroup group = groups.get(g);
      int blocks = engine.pools().get(g).numBlocks();
      slots[g] = group.blockSlots(blockTokens);
      pools[g] = new GroupPool(group.blockSpan(blockTokens), group.windowTokens(), blocks);
      tags[g] = new long[blocks * slots[g]];
      writtenIn[g] = new int[blocks * slots[g]];
    }
    this.logits = new float[VOCAB];
    this.sampled = new SampledRows(engine.maxRows(), 20);
  }

  void observe(Observer who) {
    observer = who;
  }

  static long next(long tag, int token) {
    return CounterRandom.bits(tag, token);
  }

  /** The tag before the first token of a tenant's sequence. */
  static long root(long tenant) {
    return CounterRandom.bits(ROOT, tenant);
  }

  /** Logits after a prefix: random ones, and a token that likes to follow its last one. */
  static void logitsOf(long tag, int last, float[] out) {
    for (int i = 0; i < VOCAB; i++) {
      out[i] = (float) (6 * CounterRandom.uniform(tag, -1L - i));
    }
    out[2 + (5 * last + 3) % (VOCAB - 2)] += 4;
  }

  @Override
  public StepBatch newBatch() {
    return new StepBatch(options, groups);
  }

  /** What went wrong in a step that was not planned to go wrong, or null. */
  @Nullable Throwable violation() {
    return violation;
  }

  @Override
  public StepHandle submit(StepBatch batch, SamplingRows rows, RowSampler sampler) {
    try {
      return compute(batch, rows, sampler);
    } catch (RuntimeException | Error e) {
      String message = String.valueOf(e.getMessage());
      if (!message.startsWith("planned") && !message.contains(": planned.")) {
        violation = e;
      }
      throw e;
    }
  }

  /** Steps that ended well. */
  int numComputed() {
    return numComputed;
  }

  private StepHandle compute(StepBatch batch, SamplingRows rows, RowSampler sampler) {
    numSubmitted++;
    observer.before(batch);
    batch.validate(VOCAB, 0);
    for (int c = 0; c < batch.numCopies() && !dropsCopies; c++) {
      copy(batch.copyGroup(c), batch.copySource(c), batch.copyDestination(c));
    }
    for (int s = 0; s < batch.numSequences(); s++) {
      run(batch, s, rows, sampler);
      observer.computed(s);
    }
    numRows = batch.numRows();
    numComputed++;
    return new Finished();
  }

  private void copy(int g, int source, int destination) {
    int n = slots[g];
    for (int i = 0; i < n; i++) {
      noteWrite(g, destination * n + i);
    }
    System.arraycopy(tags[g], source * n, tags[g], destination * n, n);
    // A copy fills what its sequence writes behind it in the same step.
    Arrays.fill(writtenIn[g], destination * n, destination * n + n, 0);
  }

  private int slot(StepBatch batch, int s, int g, int index) {
    return batch.block(s, g, index / slots[g]) * slots[g] + index % slots[g];
  }

  private void run(StepBatch batch, int s, SamplingRows rows, RowSampler sampler) {
    Sequence sequence = observer.sequence(s);
    int first = batch.position(batch.firstToken(s));
    int end = first + batch.firstToken(s + 1) - batch.firstToken(s);
    trace(sequence.request.spec.controls().placement().saltHigh(), sequence.tokens(), first, end);
    for (int g = 0; g < groups.size(); g++) {
      check(batch, s, g, first);
    }
    for (int t = batch.firstToken(s); t < batch.firstToken(s + 1); t++) {
      int p = batch.position(t);
      if (p < sequence.numTokens() && batch.token(t) != sequence.token(p)) {
        throw new AssertionError("wrong token: sequence=" + s + " position=" + p);
      }
      chain[p + 1] = next(chain[p], batch.token(t));
      for (int g = 0; g < groups.size(); g++) {
        write(batch, s, g, p);
      }
      int row = batch.firstRow(s) + t - batch.firstToken(s + 1) + batch.numWanted(s);
      if (row >= batch.firstRow(s)) {
        logitsOf(chain[p + 1], batch.token(t), logits);
        sampler.sample(rows, row, logits, 0, VOCAB, sampled);
      }
    }
  }

  /** Computes the tags of the first tokens, with room for more. */
  private void trace(long tenant, int[] tokens, int count, int room) {
    if (chain.length < room + 1) {
      chain = new long[2 * room];
    }
    chain[0] = root(tenant);
    for (int p = 0; p < count; p++) {
      chain[p + 1] = next(chain[p], tokens[p]);
    }
  }

  /** Reads what a token at a position needs of a group. */
  private void check(StepBatch batch, int s, int g, int first) {
    int ratio = groups.get(g).tokensPerSlot();
    for (int i = pools[g].firstNeeded(first) / ratio; i < first / ratio; i++) {
      int slot = slot(batch, s, g, i);
      if (tags[g][slot] != chain[(i + 1) * ratio]) {
        throw new AssertionError("wrong tag: group=" + g + " sequence=" + s + " slot=" + i);
      }
      if (writtenIn[g][slot] == numSubmitted) {
        throw new AssertionError("read what is written: group=" + g + " sequence=" + s);
      }
    }
  }

  /** Checks that blocks hold what a sequence of a tenant needs after so many tokens. */
  void verify(SequenceBlocks blocks, long tenant, int[] tokens, int count) {
    trace(tenant, tokens, count, count);
    for (int g = 0; g < groups.size(); g++) {
      int ratio = groups.get(g).tokensPerSlot();
      for (int i = pools[g].firstNeeded(count) / ratio; i < count / ratio; i++) {
        int slot = blocks.table(g).blockAt(i / slots[g]) * slots[g] + i % slots[g];
        if (tags[g][slot] != chain[(i + 1) * ratio]) {
          throw new AssertionError("a findable block must hold its prefix: group=" + g);
        }
      }
    }
  }

  private void write(StepBatch batch, int s, int g, int position) {
    int ratio = groups.get(g).tokensPerSlot();
    if ((position + 1) % ratio == 0) {
      int slot = slot(batch, s, g, position / ratio);
      noteWrite(g, slot);
      tags[g][slot] = chain[position + 1];
    }
  }

  private void noteWrite(int g, int slot) {
    if (writtenIn[g][slot] == numSubmitted) {
      throw new AssertionError("written twice in a step: group=" + g + " slot=" + slot);
    }
    writtenIn[g][slot] = numSubmitted;
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
    return groups.size();
  }

  @Override
  public long blockBytes(int group) {
    return (long) slots[group] * Long.BYTES;
  }

  @Override
  public void exportBlock(int group, int block, MemorySegment target) {
    int n = slots[group];
    MemorySegment.copy(tags[group], block * n, target, ValueLayout.JAVA_LONG, 0, n);
  }

  @Override
  public void importBlock(int group, int block, MemorySegment source) {
    int n = slots[group];
    MemorySegment.copy(source, ValueLayout.JAVA_LONG, 0, tags[group], block * n, n);
  }

  @Override
  public void close() {
    // Nothing to free.
  }

  private final class Finished implements StepHandle {

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
