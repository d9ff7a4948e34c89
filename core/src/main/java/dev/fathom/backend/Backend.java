package dev.fathom.backend;

import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;
import java.util.List;

/**
 * Compiles programs and places weights.
 *
 * <p>One model owns one backend. {@link #place} and {@link #compile} are called by one thread at a
 * time. Closing releases threads and devices, after every executable was closed; it is idempotent.
 */
public interface Backend extends AutoCloseable {

  /** Returns the provider's name. */
  String name();

  /** Returns one line for diagnostics: SIMD width, threads, device, named modes that are on. */
  String description();

  /** Returns the bytes that {@link #place} takes for a weight, beyond the source it is given. */
  long placedBytes(WeightRef weight);

  /** Returns whether placed weights go on reading the source, which must then outlive them. */
  boolean keepsSource(WeightRef weight);

  /** Returns an upper bound of the bytes that an executable allocates, without the KV cache. */
  long scratchBytes(Program program, CompileOptions options);

  /** Returns whether KV blocks may hold this number of tokens. */
  boolean supportsBlockTokens(int blockTokens);

  /**
   * Repacks a weight once into the layout that the kernels stream.
   *
   * @throws dev.fathom.error.BackendException where the format is not supported
   */
  PlacedWeight place(WeightRef weight, WeightMatrix source);

  /**
   * Compiles programs that share their weights and KV caches. The first is the main program; the
   * others are drafts, run by steps that say so ({@link StepBatch#clear(int)}). Alone, the main
   * program costs what it would without the others.
   *
   * @param programs a valid {@link ProgramSet}
   * @param weights every weight of the programs
   * @throws dev.fathom.error.BackendException where an operation or option is not supported
   */
  Executable compile(List<Program> programs, PlacedWeights weights, CompileOptions options);

  @Override
  void close();
}
