package dev.fathom.backend.reference;

import dev.fathom.backend.Availability;
import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendProvider;

/** Offers the reference backend, which runs everywhere. */
public final class ReferenceProvider implements BackendProvider {

  /** Name of the reference backend. */
  public static final String NAME = "reference";

  /** Creates the provider, as the service loader does. */
  public ReferenceProvider() {}

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int preference() {
    return 0;
  }

  @Override
  public Availability probe() {
    return Availability.yes("plain scalar Java on one thread, runs everywhere");
  }

  @Override
  public Backend create(int threads) {
    return new ReferenceBackend();
  }
}
