package dev.fathom.cpu;

import dev.fathom.backend.Availability;
import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.BackendProvider;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import java.util.Optional;

/**
 * Offers the CPU backend, which needs the JDK's incubating module {@code jdk.incubator.vector}. No
 * class of that module is loaded before {@link #create}.
 */
public final class CpuProvider implements BackendProvider {

  /** Name of the CPU backend. */
  public static final String NAME = "cpu";

  static final String MODULE = "jdk.incubator.vector";

  /** Creates the provider, as the service loader does. */
  public CpuProvider() {}

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int preference() {
    return 50;
  }

  @Override
  public Availability probe() {
    Optional<Module> vectors = ModuleLayer.boot().findModule(MODULE);
    boolean readable = vectors.isPresent() && CpuProvider.class.getModule().canRead(vectors.get());
    return readable
        ? Availability.yes("the Vector API is there")
        : Availability.no(
            "the module " + MODULE + " (Vector API) is not in this JVM",
            "start the JVM with --add-modules " + MODULE);
  }

  @Override
  public Backend create(int threads) {
    return create(BackendOptions.DEFAULT.withThreads(threads));
  }

  @Override
  public Backend create(BackendOptions options) {
    Availability found = probe();
    if (!found.available()) {
      throw new BackendException(
          ErrorCode.BACKEND_UNAVAILABLE, "The cpu backend", found.reason(), found.fix());
    }
    int threads = options.threads() == 0 ? Processors.count() : options.threads();
    return new CpuBackend(options.withThreads(threads));
  }
}
