package dev.fathom.cpu;

import dev.fathom.backend.Availability;
import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.contract.BackendContract;
import java.util.List;

/** The contract with every operation on the team, however small: parts of few or no rows. */
class CpuDispatchContractTest extends BackendContract {

  @Override
  protected BackendProvider provider() {
    return new EagerProvider();
  }

  @Override
  protected List<LatentForm> latentForms() {
    return List.of(LatentForm.AUTO, LatentForm.ABSORBED);
  }

  private static final class EagerProvider implements BackendProvider {
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
      return new CpuBackend(BackendOptions.DEFAULT.withThreads(threads == 0 ? 3 : threads), 0);
    }
  }
}
