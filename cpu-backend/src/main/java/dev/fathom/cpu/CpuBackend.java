package dev.fathom.cpu;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.LargePageArena;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.PlacedWeight;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.PrefillMode;
import dev.fathom.backend.ProgramSet;
import dev.fathom.backend.WeightPlacement;
import dev.fathom.cpu.kernel.Lanes;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.Sharing;
import dev.fathom.cpu.kernel.VectorWidth;
import dev.fathom.cpu.onednn.Products;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs programs with Vector API kernels on a team of threads. Weights are read where the source
 * lies, but for those of integers and, unless they are to stay where they are, of bfloat16, which
 * are repacked into memory of the backend. Results do not depend on the number of threads.
 */
final class CpuBackend implements Backend {

  private static final Logger LOG = LoggerFactory.getLogger(CpuBackend.class);

  /** Smallest E4M3 block edge of published checkpoints; bounds the bytes of copied scales. */
  private static final long SMALLEST_BLOCK = 32;

  /** Multiplications below which a dispatch costs more than it brings. */
  private static final long WORTH_A_DISPATCH = 1 << 16;

  /** Weights of a matrix that several threads repack. */
  private static final long WORTH_SHARING = 1 << 20;

  private final ThreadTeam team;
  private final ActivationMode activations;
  private final PrefillMode prefill;
  private final WeightPlacement placement;
  private final long worthADispatch;
  private final Arena arena = LargePageArena.open();

  CpuBackend(BackendOptions options) {
    this(options, WORTH_A_DISPATCH);
  }

  /** Creates a backend whose team runs what has at least this many multiplications. */
  CpuBackend(BackendOptions options, long worthADispatch) {
    VectorWidth.require(options.vectorBits());
    if (options.prefill() == PrefillMode.ONEDNN) {
      Products.require();
    }
    this.team = new ThreadTeam(options.threads());
    this.activations = options.activations();
    this.prefill = options.prefill();
    this.placement = options.placement();
    this.worthADispatch = worthADispatch;
    LOG.info(
        "backend=cpu vectorBits={} threads={} prefill={} pages={}",
        Lanes.vectorBits(),
        team.size(),
        prefill,
        LargePageArena.description());
  }

  @Override
  public String name() {
    return CpuProvider.NAME;
  }

  @Override
  public String description() {
    String integers =
        activations == ActivationMode.FLOAT
            ? "float32 activations"
            : "INT8 and INT4 weights meet activations rounded to bytes";
    String products =
        prefill == PrefillMode.ONEDNN
            ? ", " + Products.WORTH + " tokens or more multiplied in bfloat16 by oneDNN"
            : "";
    return "cpu: "
        + Lanes.vectorBits()
        + "-bit vectors, threads="
        + team.size()
        + ", "
        + integers
        + products;
  }

  @Override
  public long placedBytes(WeightRef weight) {
    return switch (weight.format()) {
      case FP8_E4M3 -> {
        long blocks = (weight.rows() / SMALLEST_BLOCK + 1) * (weight.cols() / SMALLEST_BLOCK + 1);
        yield blocks * Float.BYTES;
      }
      case INT8 -> Matrix.integerBytes(8, weight.rows(), weight.cols());
      case INT4 ->
          Matrix.integerBytes(
              activations == ActivationMode.FLOAT ? 8 : 4, weight.rows(), weight.cols());
      case BF16 -> repacks(weight) ? Matrix.bf16Bytes(weight.rows(), weight.cols()) : 0;
      default -> 0;
    };
  }

  @Override
  public boolean keepsSource(WeightRef weight) {
    return !repacks(weight);
  }

  private boolean repacks(WeightRef weight) {
    return Matrix.repacks(weight.format(), weight.rows(), placement);
  }

  @Override
  public long scratchBytes(Program program, CompileOptions options) {
    Sizes sizes = new Sizes(program, options);
    long products =
        prefill == PrefillMode.ONEDNN
            ? Products.bytes(team.size(), sizes.rounded(), sizes.cols())
            : 0;
    return sizes.bytes(team.size()) + products;
  }

  @Override
  public boolean supportsBlockTokens(int blockTokens) {
    return blockTokens >= 1;
  }

  @Override
  public PlacedWeight place(WeightRef weight, WeightMatrix source) {
    boolean isShared = (long) source.rows() * source.cols() >= WORTH_SHARING;
    Matrix matrix =
        Matrix.of(source, placement, activations, arena, isShared ? this::share : Sharing.ALONE);
    return new CpuWeight(weight, matrix, matrix.reader(source));
  }

  private void share(int items, Sharing.Range work) {
    team.run(items, 1, (from, to, part) -> work.run(from, to));
  }

  @Override
  public Executable compile(List<Program> programs, PlacedWeights weights, CompileOptions options) {
    if (options.latentForm() == LatentForm.EXPANDED) {
      throw unsupported(
          "expanded latent attention", "choose LatentForm.AUTO, ABSORBED or the reference backend");
    }
    return new CpuExecutable(
        new ProgramSet(programs), weights, options, team, worthADispatch, prefill);
  }

  private static BackendException unsupported(String why, String fix) {
    return new BackendException(
        ErrorCode.BACKEND_UNSUPPORTED, "The cpu backend cannot compile this", why, fix);
  }

  @Override
  public void close() {
    team.close();
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
