package dev.fathom.cuda;

import dev.fathom.backend.Availability;
import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendProvider;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import org.jspecify.annotations.Nullable;

/**
 * Offers the CUDA backend. {@link #probe} says which part of a working CUDA installation is
 * missing; where none is, it still says no, because this release has no CUDA kernels.
 *
 * <p>Nothing native is loaded where there is no NVIDIA driver. Threads: safe.
 */
public final class CudaProvider implements BackendProvider {

  /** Name of the CUDA backend. */
  public static final String NAME = "cuda";

  private final CudaSystem system;
  private @Nullable Availability answer;

  /** Creates the provider, as the service loader does. */
  public CudaProvider() {
    this(new HostSystem());
  }

  CudaProvider(CudaSystem system) {
    this.system = system;
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int preference() {
    return 100;
  }

  @Override
  public synchronized Availability probe() {
    Availability known = answer;
    if (known == null) {
      known = CudaProbe.run(system);
      answer = known;
    }
    return known;
  }

  @Override
  public Backend create(int threads) {
    Availability found = probe();
    throw new BackendException(
        ErrorCode.BACKEND_UNAVAILABLE, "The cuda backend", found.reason(), found.fix());
  }
}
