package dev.fathom.backend.reference;

import dev.fathom.backend.Backend;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.PlacedWeight;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.ProgramSet;
import dev.fathom.backend.ScratchPlan;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;
import java.util.List;

/** Interprets programs operation by operation. Stateless; see the package for its guarantees. */
final class ReferenceBackend implements Backend {

  @Override
  public String name() {
    return ReferenceProvider.NAME;
  }

  @Override
  public String description() {
    return "reference: scalar Java, one thread, float64 sums";
  }

  @Override
  public long placedBytes(WeightRef weight) {
    return 0;
  }

  @Override
  public boolean keepsSource(WeightRef weight) {
    return true;
  }

  @Override
  public long scratchBytes(Program program, CompileOptions options) {
    long values =
        new ScratchPlan(program, options.outputs()).bytes(options.maxTokens(), options.maxRows());
    return values + Scratch.bytes(program, options);
  }

  @Override
  public boolean supportsBlockTokens(int blockTokens) {
    return blockTokens >= 1;
  }

  @Override
  public PlacedWeight place(WeightRef weight, WeightMatrix source) {
    return new ReferenceWeight(weight, source);
  }

  @Override
  public Executable compile(List<Program> programs, PlacedWeights weights, CompileOptions options) {
    return new ReferenceExecutable(new ProgramSet(programs), weights, options);
  }

  @Override
  public void close() {
    // Nothing is held: weights belong to the loader, caches to the executables.
  }
}
