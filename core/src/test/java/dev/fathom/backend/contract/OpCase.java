package dev.fathom.backend.contract;

import dev.fathom.backend.BackendProvider;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import java.util.Arrays;
import java.util.Random;

/**
 * A small program around one operation. Its input vectors are the rows of a float32 embedding
 * table, which arrive unchanged: token t of the step has id t.
 */
final class OpCase {

  /** Name of the output that {@link #run} gives. */
  static final String OUT = "out";

  final WeightFixture weights = new WeightFixture(7);
  final ProgramBuilder g = new ProgramBuilder("op");

  /** The token ids: [T]. */
  final Value tokens;

  /** The input: [T, C]. */
  final Value x;

  /** The input in float64: [T, C]. */
  final double[] in;

  /** T. */
  final int numTokens;

  private final int width;
  private int position;
  private Capacities capacities = new Capacities();

  OpCase(float[] table, int width) {
    this.in = Formulas.widen(table);
    this.width = width;
    this.numTokens = table.length / width;
    this.tokens = g.tokens();
    this.x = g.embed(tokens, weights.exact("table", table, numTokens, width));
  }

  /** Normal input vectors. */
  static OpCase normal(int numTokens, int width) {
    return new OpCase(normal(numTokens * width, 1, 31L * numTokens + width), width);
  }

  static float[] normal(int len, double deviation, long seed) {
    Random random = new Random(seed);
    float[] values = new float[len];
    for (int i = 0; i < len; i++) {
      values[i] = (float) (random.nextGaussian() * deviation);
    }
    return values;
  }

  /** The vector s(n, k, phase) of spec 14: sin(k * (i + 1) + phase). */
  static float[] sine(int n, double k, double phase) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) Math.sin(k * (i + 1) + phase);
    }
    return values;
  }

  /** Position of the first token. */
  OpCase at(int first) {
    position = first;
    return this;
  }

  OpCase with(Capacities changed) {
    capacities = changed;
    return this;
  }

  /** Input vector of a token. */
  double[] in(int t) {
    return Arrays.copyOfRange(in, t * width, (t + 1) * width);
  }

  Program program(Value out) {
    g.output(OUT, out);
    g.output(
        Program.LOGITS,
        g.logits(x, weights.exact("head", new float[numTokens * width], numTokens, width)));
    return g.build();
  }

  /** Computes out for all tokens in one step. */
  float[] run(BackendProvider provider, Value out) {
    Program program = program(out);
    try (Rig rig = new Rig(provider, program, weights, capacities.outputs(OUT))) {
      int[] tokens = new int[numTokens];
      Arrays.setAll(tokens, t -> t);
      int[] blocks =
          rig.executable().numKvGroups() == 0 ? new int[0] : rig.blocksFor(position + numTokens);
      return rig.run(Rig.Seq.last(blocks, position, tokens)).output(OUT);
    }
  }
}
