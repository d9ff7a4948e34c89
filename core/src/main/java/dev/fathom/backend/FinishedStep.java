package dev.fathom.backend;

import dev.fathom.program.Lead;
import dev.fathom.program.Program;
import dev.fathom.program.Value;
import java.util.function.Function;

/**
 * The handle of a step that had ended when it was submitted, for backends that compute on the
 * calling thread.
 */
public final class FinishedStep implements StepHandle {

  private final Program program;
  private final CompileOptions options;
  private final Function<Value, float[]> data;
  private final SampledRows sampled;
  private final int numTokens;
  private final int numRows;

  /**
   * Wraps the results of a step.
   *
   * @param program what was computed
   * @param options which outputs were kept
   * @param data row-major elements of a kept value
   * @param sampled what the rows sampled
   * @param batch the step; its numbers of tokens and rows are taken now
   */
  public FinishedStep(
      Program program,
      CompileOptions options,
      Function<Value, float[]> data,
      SampledRows sampled,
      StepBatch batch) {
    this.program = program;
    this.options = options;
    this.data = data;
    this.sampled = sampled;
    this.numTokens = batch.numTokens();
    this.numRows = batch.numRows();
  }

  @Override
  public void await() {
    // The step has ended.
  }

  @Override
  public SampledRows sampled() {
    return sampled;
  }

  @Override
  public StepOutput output(String name) {
    Value value = program.outputs().get(name);
    boolean kept = options.outputs().contains(name) || Program.LOGITS.equals(name);
    if (value == null || !kept) {
      throw new IllegalArgumentException(
          "output: expected one of " + options.outputs() + ", got " + name);
    }
    int rows = value.shape().lead() == Lead.TOKENS ? numTokens : numRows;
    return new StepOutput(data.apply(value), rows, value.shape().width());
  }
}
