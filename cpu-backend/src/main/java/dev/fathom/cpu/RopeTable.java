package dev.fathom.cpu;

import dev.fathom.cpu.kernel.Rope;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;

/**
 * Cosines and sines of a step's positions for one rotary embedding, shared by all layers and heads:
 * [T, dim], one entry an element as {@link Rope} reads them.
 */
final class RopeTable {

  private final RopeSpec spec;
  private final Step step;
  private final float[] cos;
  private final float[] sin;

  RopeTable(RopeSpec spec, Step step) {
    this.spec = spec;
    this.step = step;
    int elements = Sizes.elements(step.options().maxTokens(), spec.dim());
    this.cos = new float[elements];
    this.sin = new float[elements];
  }

  /** Computes the tables for the positions of the step. */
  void fill() {
    int half = spec.dim() / 2;
    boolean interleaved = spec.layout() == RopeLayout.INTERLEAVED;
    for (int t = 0; t < step.numTokens(); t++) {
      float position = (float) step.batch().position(t);
      int row = t * spec.dim();
      for (int i = 0; i < half; i++) {
        float angle = position * spec.inverseFrequency(i);
        int a = row + (interleaved ? 2 * i : i);
        int b = row + (interleaved ? 2 * i + 1 : i + half);
        cos[a] = (float) Math.cos(angle) * spec.amplitude();
        cos[b] = cos[a];
        sin[b] = (float) Math.sin(angle) * spec.amplitude();
        sin[a] = -sin[b];
      }
    }
  }

  /** Turns x[off, off + dim) by the angles of token t. */
  void turn(float[] x, int off, int t) {
    int row = t * spec.dim();
    if (spec.layout() == RopeLayout.INTERLEAVED) {
      Rope.interleaved(x, off, spec.dim(), cos, sin, row);
    } else {
      Rope.halfSplit(x, off, spec.dim(), cos, sin, row);
    }
  }
}
