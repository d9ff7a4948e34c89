package dev.fathom.cpu;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.Availability;
import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.BackendProvider;

/** The CPU backend with float32 activations for all weights. */
final class FloatActivations implements BackendProvider {

  private final CpuProvider cpu = new CpuProvider();

  @Override
  public String name() {
    return cpu.name();
  }

  @Override
  public int preference() {
    return cpu.preference();
  }

  @Override
  public Availability probe() {
    return cpu.probe();
  }

  @Override
  public Backend create(int threads) {
    return cpu.create(new BackendOptions(threads, 0, ActivationMode.FLOAT));
  }
}
