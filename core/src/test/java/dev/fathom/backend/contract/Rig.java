package dev.fathom.backend.contract;

import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.Executable;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.backend.StepHandle;
import dev.fathom.backend.StepOutput;
import dev.fathom.backend.WeightSource;
import dev.fathom.program.Program;
import java.util.Arrays;
import java.util.List;

/** A program compiled by a backend, and steps written in one line. */
public final class Rig implements AutoCloseable {

  private static final int THREADS = 3;

  private final Backend backend;
  private final Executable executable;
  private final StepBatch batch;
  private final SamplingRows rows;
  private final Capacities capacities;

  /** Places the weights and compiles. */
  public Rig(
      BackendProvider provider, Program program, WeightSource weights, Capacities capacities) {
    this(provider, THREADS, program, weights, capacities);
  }

  /** Places the weights and compiles a main program with its drafts. */
  public Rig(
      BackendProvider provider,
      List<Program> programs,
      WeightSource weights,
      Capacities capacities) {
    this(provider, THREADS, programs, weights, capacities);
  }

  Rig(
      BackendProvider provider,
      int threads,
      Program program,
      WeightSource weights,
      Capacities capacities) {
    this(provider, threads, List.of(program), weights, capacities);
  }

  private Rig(
      BackendProvider provider,
      int threads,
      List<Program> programs,
      WeightSource weights,
      Capacities capacities) {
    this.backend = provider.create(threads);
    this.capacities = capacities;
    this.executable =
        backend.compile(
            programs, WeightFixture.place(backend, programs, weights), capacities.options());
    this.batch = executable.newBatch();
    this.rows = new SamplingRows(capacities.options().maxRows());
  }

  /** What is compiled. */
  public Executable executable() {
    return executable;
  }

  /** Block tables of 0, 1, 2.. that hold positions [0, len). */
  public int[] blocksFor(int len) {
    int[] blocks = new int[(len + capacities.blockTokens() - 1) / capacities.blockTokens()];
    Arrays.setAll(blocks, i -> i);
    return blocks;
  }

  /** Runs a step of these sequences. */
  public Result run(Seq... sequences) {
    return run(List.of(), sequences);
  }

  /** Runs a step that first copies blocks: {source, destination} in each group. */
  public Result run(List<int[]> copies, Seq... sequences) {
    fill(batch, rows, executable, copies, sequences);
    StepHandle handle = executable.submit(batch, rows, Rig::greedy);
    handle.await();
    return new Result(handle, batch.numRows());
  }

  /**
   * Runs a step of a draft program.
   *
   * @param program its index
   * @param hidden token of the previous step that each token continues, over all sequences
   */
  public Result draft(int program, int[] hidden, Seq... sequences) {
    batch.clear(program);
    rows.clear();
    int next = 0;
    for (Seq s : sequences) {
      start(batch, rows, executable, s);
      int position = s.position();
      for (int token : s.tokens()) {
        addToken(batch, token, position++);
        batch.addHidden(hidden[next++]);
      }
    }
    StepHandle handle = executable.submit(batch, rows, Rig::greedy);
    handle.await();
    return new Result(handle, batch.numRows());
  }

  /** Fills a batch and greedy rows. Negative tokens name rows of the previous step: -1 - row. */
  static void fill(
      StepBatch batch,
      SamplingRows rows,
      Executable executable,
      List<int[]> copies,
      Seq... sequences) {
    batch.clear();
    rows.clear();
    for (int group = 0; group < executable.numKvGroups(); group++) {
      for (int[] copy : copies) {
        batch.addCopy(group, copy[0], copy[1]);
      }
    }
    for (Seq s : sequences) {
      start(batch, rows, executable, s);
      int position = s.position();
      for (int token : s.tokens()) {
        addToken(batch, token, position++);
      }
    }
  }

  private static void start(StepBatch batch, SamplingRows rows, Executable executable, Seq s) {
    batch.addSequence(s.adapter(), s.wanted());
    for (int group = 0; group < executable.numKvGroups(); group++) {
      for (int block : s.blocks()) {
        batch.addBlock(group, block);
      }
    }
    for (int r = 0; r < s.wanted(); r++) {
      rows.addGreedy();
    }
  }

  private static void addToken(StepBatch batch, int token, int position) {
    if (token >= 0) {
      batch.addToken(token, position);
    } else {
      batch.addSampledToken(-1 - token, position);
    }
  }

  /**
   * Takes the largest logit, lowest index on ties, and then destroys what it was given, as a
   * sampler may.
   */
  static void greedy(
      SamplingRows rows, int row, float[] logits, int offset, int vocab, SampledRows out) {
    int best = 0;
    for (int v = 1; v < vocab; v++) {
      if (logits[offset + v] > logits[offset + best]) {
        best = v;
      }
    }
    out.set(row, best, logits[offset + best]);
    Arrays.fill(logits, offset, offset + vocab, Float.NaN);
  }

  static RowSampler sampler() {
    return Rig::greedy;
  }

  @Override
  public void close() {
    executable.close();
    backend.close();
  }

  /**
   * A sequence of a step.
   *
   * @param blocks its block table, the same in each group
   * @param position position of its first token
   * @param tokens token ids, or -1 - r for what row r of the previous step sampled
   * @param wanted rows wanted
   * @param adapter adapter slot
   */
  public record Seq(int[] blocks, int position, int[] tokens, int wanted, int adapter) {

    /** A sequence without an adapter that wants a row for each token. */
    public static Seq all(int[] blocks, int position, int... tokens) {
      return new Seq(blocks, position, tokens, tokens.length, StepBatch.NO_ADAPTER);
    }

    /** A sequence without an adapter that wants its last row. */
    public static Seq last(int[] blocks, int position, int... tokens) {
      return new Seq(blocks, position, tokens, 1, StepBatch.NO_ADAPTER);
    }

    /** A sequence without an adapter that wants nothing. */
    public static Seq none(int[] blocks, int position, int... tokens) {
      return new Seq(blocks, position, tokens, 0, StepBatch.NO_ADAPTER);
    }

    /** The same sequence with an adapter. */
    public Seq adapter(int slot) {
      return new Seq(blocks, position, tokens, wanted, slot);
    }
  }

  /** What a step gave, copied when asked for; ask before the next step. */
  public static final class Result {

    private final StepHandle handle;
    private final int numRows;

    Result(StepHandle handle, int numRows) {
      this.handle = handle;
      this.numRows = numRows;
    }

    /** Logits of all rows: [R, V]. */
    public float[] logits() {
      return output(Program.LOGITS);
    }

    /** A named output, all its rows. */
    public float[] output(String name) {
      StepOutput output = handle.output(name);
      return Arrays.copyOf(output.data(), output.numRows() * output.width());
    }

    /** The tokens that the rows sampled. */
    public int[] sampled() {
      int[] tokens = new int[numRows];
      Arrays.setAll(tokens, handle.sampled()::token);
      return tokens;
    }

    StepHandle handle() {
      return handle;
    }
  }
}
