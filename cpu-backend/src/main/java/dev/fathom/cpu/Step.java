package dev.fathom.cpu;

import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.ExpertLoads;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.ScratchPlan;
import dev.fathom.backend.StepBatch;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.Order;
import dev.fathom.cpu.kernel.ScalarStart;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.cpu.onednn.Products;
import dev.fathom.program.ElementType;
import dev.fathom.program.Lead;
import dev.fathom.program.Program;
import dev.fathom.program.Value;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The step that is running and the memory that its operations share. The engine's thread changes it
 * between dispatches; workers read.
 */
final class Step {

  /** Rows that one vector meets together: a panel of integer weights. */
  private static final int ROWS = 32;

  /** Rows that several vectors meet together: those that are decoded once for all of them. */
  private static final int ROWS_OF_MANY = 64;

  private final CompileOptions options;
  private final ThreadTeam team;
  private final long worthADispatch;
  private final ScratchPlan plan;
  private final ExpertLoads expertLoads;
  private final Sizes sizes;
  private final float[][] slots;
  private final int[][] ints;
  private final float[] ordered;
  private final float[][] lanes;
  private final float[][] pooled;
  private final Arranger arranger;
  private final @Nullable Products products;
  private final @Nullable Rounder rounder;
  private final int[] identity;
  private final int[] tokens;
  private StepBatch batch;

  Step(
      Program program,
      CompileOptions options,
      ThreadTeam team,
      long worthADispatch,
      StepBatch empty,
      @Nullable Products products) {
    this.options = options;
    this.products = products;
    this.rounder = products == null ? null : new Rounder(products);
    this.team = team;
    this.worthADispatch = worthADispatch;
    this.plan = new ScratchPlan(program, options.outputs());
    this.sizes = new Sizes(program, options);
    this.expertLoads = ExpertLoads.of(program);
    this.slots = new float[plan.slots().size()][];
    this.ints = new int[plan.slots().size()][];
    this.ordered = new float[sizes.ordered()];
    this.arranger = new Arranger(ordered);
    this.lanes = new float[team.size()][Matrix.scratchLen(sizes.cols())];
    this.pooled = new float[team.size()][sizes.pooled()];
    this.tokens = new int[options.maxTokens()];
    this.batch = empty;
    int longest = Math.max(1, sizes.expertRows());
    for (int i = 0; i < slots.length; i++) {
      ScratchPlan.Slot slot = plan.slots().get(i);
      int rows = slot.lead() == Lead.TOKENS ? options.maxTokens() : options.maxRows();
      int elements = Sizes.elements(rows, slot.width());
      slots[i] = new float[slot.type() == ElementType.I32 ? 0 : elements];
      ints[i] = new int[slot.type() == ElementType.F32 ? 0 : elements];
    }
    for (Value value : program.values()) {
      longest = Math.max(longest, capacity(value));
    }
    this.identity = new int[longest];
    for (int i = 0; i < longest; i++) {
      identity[i] = i;
    }
  }

  /** Most vectors on the last axis of a value. */
  private int capacity(Value value) {
    int rows = value.shape().lead() == Lead.TOKENS ? options.maxTokens() : options.maxRows();
    return rows * (value.shape().width() / value.shape().last());
  }

  /**
   * Begins a step; sampled tokens come from the previous one, and hidden states, where the program
   * reads them, from what its program put out.
   *
   * @param states row-major states of the previous step's tokens; not read where hidden is null
   * @param hidden the input that is filled from them, or null
   */
  void begin(StepBatch next, SampledRows previous, float[] states, @Nullable Value hidden) {
    batch = next;
    for (int t = 0; t < next.numTokens(); t++) {
      int token = next.token(t);
      tokens[t] = token >= 0 ? token : previous.token(-1 - token);
      if (hidden != null) {
        int width = hidden.shape().width();
        System.arraycopy(states, next.hidden(t) * width, data(hidden), t * width, width);
      }
    }
  }

  /** Returns the tokens of the program's experts. */
  ExpertLoads expertLoads() {
    return expertLoads;
  }

  CompileOptions options() {
    return options;
  }

  Sizes sizes() {
    return sizes;
  }

  int threads() {
    return team.size();
  }

  StepBatch batch() {
    return batch;
  }

  int numTokens() {
    return batch.numTokens();
  }

  /** Returns how many tokens from t on, at most so many, follow each other in one sequence. */
  int neighbours(int t, int most) {
    int n = 1;
    while (n < most
        && t + n < batch.numTokens()
        && batch.sequenceOf(t + n) == batch.sequenceOf(t)
        && batch.position(t + n) == batch.position(t) + n) {
      n++;
    }
    return n;
  }

  /** Returns the id of token t. */
  int token(int t) {
    return tokens[t];
  }

  /** Returns the memory of a value; it belongs to the value until its last reader ran. */
  float[] data(Value value) {
    return slots[plan.slotOf(value)];
  }

  /** Returns the integers of a value: expert ids of a routing, positions of a selection. */
  int[] ints(Value value) {
    return ints[plan.slotOf(value)];
  }

  /** Returns how many vectors the last axis of a value has in this step. */
  int vectors(Value value) {
    int rows = value.shape().lead() == Lead.TOKENS ? batch.numTokens() : batch.numRows();
    return rows * (value.shape().width() / value.shape().last());
  }

  /** Returns scratch of one thread for the kernels. */
  float[] lanes(int part) {
    return lanes[part];
  }

  /** Returns scratch of one thread that pools windows. */
  float[] pooled(int part) {
    return pooled[part];
  }

  /** Returns 0, 1, 2, ... */
  int[] identity() {
    return identity;
  }

  /** Returns where {@link #arrange} leaves vectors of an order. */
  Vectors inputs(Order order, float[] natural, int len) {
    return new Vectors(order == Order.NATURAL ? natural : ordered, order.len(len), identity);
  }

  /**
   * Brings n vectors of len elements into the order of a matrix, in memory that the next call
   * reuses; natural ones stay where they are.
   */
  void arrange(Order order, float[] natural, int len, int[] rows, int n) {
    arrange(order, natural, len, rows, n, 0);
  }

  /** As above, where the arranged vectors begin at an element of that memory. */
  void arrange(Order order, float[] natural, int len, int[] rows, int n, int begin) {
    if (order != Order.NATURAL) {
      arranger.order = order;
      arranger.natural = natural;
      arranger.len = len;
      arranger.rows = rows;
      arranger.n = n;
      arranger.begin = begin;
      dispatch((long) n * len, arranger);
    }
  }

  private static final class Arranger implements ThreadTeam.Work {
    private final float[] out;
    private Order order = Order.NATURAL;
    private float[] natural = {};
    private int[] rows = {};
    private int len;
    private int n;
    private int begin;

    Arranger(float[] out) {
      this.out = out;
    }

    @Override
    public void run(int part, int numParts) {
      for (int i = begin(n, part, numParts); i < begin(n, part + 1, numParts); i++) {
        order.arrange(natural, rows[i] * len, out, begin + i * order.len(len), len);
      }
    }
  }

  /** Returns whether n vectors meet a matrix through {@link #multiplyRounded}. */
  boolean roundsFor(int n) {
    return products != null && n >= Products.WORTH;
  }

  /** Returns how many rows of a matrix that n vectors meet belong to one thread together. */
  int grain(int n) {
    if (roundsFor(n)) {
      return Products.ROWS;
    }
    return n == 1 ? ROWS : ROWS_OF_MANY;
  }

  /** Rounds n vectors of len elements for {@link #multiplyRounded}, in memory of its own. */
  void round(float[] natural, int len, int[] rows, int n) {
    Rounder work = Objects.requireNonNull(rounder);
    work.natural = natural;
    work.len = len;
    work.rows = rows;
    work.n = n;
    dispatch((long) n * len, work);
  }

  /** Does what {@link Matrix#multiply} does, with the vectors of the last {@link #round}. */
  void multiplyRounded(
      Matrix matrix,
      int from,
      int to,
      int first,
      int n,
      float[] out,
      int off,
      int stride,
      int part) {
    Objects.requireNonNull(products).multiply(matrix, from, to, first, n, out, off, stride, part);
  }

  private static final class Rounder implements ThreadTeam.Work {
    private final Products products;
    private float[] natural = {};
    private int[] rows = {};
    private int len;
    private int n;

    Rounder(Products products) {
      this.products = products;
    }

    @Override
    public void run(int part, int numParts) {
      products.round(natural, rows, len, begin(n, part, numParts), begin(n, part + 1, numParts));
    }
  }

  /** Runs work on the team, or on this thread alone where it is small. */
  void dispatch(long multiplications, ThreadTeam.Work work) {
    if (isSmall(multiplications)) {
      work.run(0, 1);
    } else {
      team.run(work);
    }
  }

  /**
   * Runs work on all of so many items on the team, or on this thread alone where it is small.
   *
   * @param grain items that a thread takes together at least
   */
  void dispatch(long multiplications, int items, int grain, ThreadTeam.RangeWork work) {
    if (isSmall(multiplications)) {
      work.run(0, items, 0);
    } else {
      team.run(items, grain, work);
    }
  }

  /** While scalar loops stand in for vectors, the other processors are the compiler's. */
  private boolean isSmall(long multiplications) {
    return multiplications < worthADispatch || ScalarStart.isOn();
  }

  /** Returns the first of n items that belongs to a part; for part = numParts it returns n. */
  static int begin(int n, int part, int numParts) {
    return (int) ((long) n * part / numParts);
  }
}
