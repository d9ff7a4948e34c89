package dev.fathom.cpu;

import dev.fathom.backend.Backend;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.PlacedWeight;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.ProgramSet;
import dev.fathom.cpu.kernel.Lanes;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs programs with Vector API kernels on a team of threads. Weights are read where the source
 * lies. Results do not depend on the number of threads.
 */
final class CpuBackend implements Backend {

  private static final Logger LOG = LoggerFactory.getLogger(CpuBackend.class);

  /** Smallest E4M3 block edge of published checkpoints; bounds the bytes of copied scales. */
  private static final long SMALLEST_BLOCK = 32;

  /** Multiplications below which a dispatch costs more than it brings. */
  private static final long WORTH_A_DISPATCH = 1 << 16;

  private final ThreadTeam team;
  private final long worthADispatch;

  CpuBackend(int threads) {
    this(threads, WORTH_A_DISPATCH);
  }

  /** Creates a backend whose team runs what has at least this many multiplications. */
  CpuBackend(int threads, long worthADispatch) {
    this.team = new ThreadTeam(threads);
    this.worthADispatch = worthADispatch;
    LOG.info("backend=cpu vectorBits={} threads={}", Lanes.vectorBits(), threads);
  }

  @Override
  public String name() {
    return CpuProvider.NAME;
  }

  @Override
  public String description() {
    return "cpu: " + Lanes.vectorBits() + "-bit vectors, threads=" + team.size();
  }

  @Override
  public long placedBytes(WeightRef weight) {
    if (weight.format() != WeightFormat.FP8_E4M3) {
      return 0;
    }
    long blocks = (weight.rows() / SMALLEST_BLOCK + 1) * (weight.cols() / SMALLEST_BLOCK + 1);
    return blocks * Float.BYTES;
  }

  @Override
  public boolean keepsSource(WeightRef weight) {
    return true;
  }

  @Override
  public long scratchBytes(Program program, CompileOptions options) {
    return new Sizes(program, options).bytes(team.size());
  }

  @Override
  public boolean supportsBlockTokens(int blockTokens) {
    return blockTokens >= 1;
  }

  @Override
  public PlacedWeight place(WeightRef weight, WeightMatrix source) {
    return new CpuWeight(weight, source, Matrix.of(source));
  }

  @Override
  public Executable compile(List<Program> programs, PlacedWeights weights, CompileOptions options) {
    if (options.latentForm() == LatentForm.EXPANDED) {
      throw unsupported(
          "expanded latent attention", "choose LatentForm.AUTO, ABSORBED or the reference backend");
    }
    return new CpuExecutable(new ProgramSet(programs), weights, options, team, worthADispatch);
  }

  private static BackendException unsupported(String why, String fix) {
    return new BackendException(
        ErrorCode.BACKEND_UNSUPPORTED, "The cpu backend cannot compile this", why, fix);
  }

  @Override
  public void close() {
    team.close();
  }
}
