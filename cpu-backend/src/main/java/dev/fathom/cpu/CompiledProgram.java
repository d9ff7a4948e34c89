package dev.fathom.cpu;

import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.program.Program;
import dev.fathom.program.Value;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * One program of an executable with its scratch memory and its bound operations.
 *
 * @param program what is computed
 * @param step its memory
 * @param operations in the order in which they run
 * @param logits its output
 * @param hidden the states that it continues, or null
 * @param state what a draft continues, or null
 */
record CompiledProgram(
    Program program,
    Step step,
    List<Operation> operations,
    Value logits,
    @Nullable Value hidden,
    @Nullable Value state) {

  private static final float[] NO_STATES = {};

  static CompiledProgram of(
      Program program,
      PlacedWeights weights,
      Step step,
      PagedKv kv,
      Adapters adapters,
      Arena arena) {
    Value logits = program.outputs().get(Program.LOGITS);
    if (logits == null) {
      throw new IllegalArgumentException("program: expected an output logits, got none");
    }
    return new CompiledProgram(
        program,
        step,
        new Binder(program, weights, step, kv, adapters, arena).bind(),
        logits,
        program.inputs().get(Program.HIDDEN),
        program.outputs().get(Program.STATE));
  }

  /**
   * Computes a step of at least one token; states come from the program that ran before.
   *
   * @param isAborted asked before each operation
   * @throws IllegalStateException where it was aborted
   */
  void run(
      StepBatch batch, SampledRows previous, CompiledProgram before, BooleanSupplier isAborted) {
    Value from = before.state;
    float[] states = hidden == null || from == null ? NO_STATES : before.step.data(from);
    step.begin(batch, previous, states, hidden);
    for (int i = 0; i < operations.size(); i++) {
      if (isAborted.getAsBoolean()) {
        throw new IllegalStateException("step: expected to run to its end, was aborted");
      }
      operations.get(i).run();
    }
  }
}
