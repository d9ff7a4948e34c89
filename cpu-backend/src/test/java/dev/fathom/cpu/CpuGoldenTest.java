package dev.fathom.cpu;

import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.LatentForm;
import dev.fathom.golden.GoldenContract;
import dev.fathom.program.CompressedOp;
import dev.fathom.program.Op;
import dev.fathom.program.StreamOp;
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

  @Override
  protected boolean supports(Class<? extends Op> operation) {
    boolean onlyOfV4 =
        CompressedOp.class.isAssignableFrom(operation)
            || StreamOp.class.isAssignableFrom(operation);
    return !onlyOfV4;
  }
}
