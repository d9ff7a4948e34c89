package dev.fathom.cpu;

import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.LatentForm;
import dev.fathom.golden.GoldenContract;
import java.util.List;

class CpuGoldenTest extends GoldenContract {

  @Override
  protected BackendProvider provider() {
    return new CpuProvider();
  }

  @Override
  protected List<LatentForm> latentForms() {
    return List.of(LatentForm.AUTO, LatentForm.ABSORBED);
  }
}
