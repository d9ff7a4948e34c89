package dev.fathom.cpu;

import dev.fathom.backend.BackendProvider;
import dev.fathom.golden.PackedContract;

class CpuPackedTest extends PackedContract {

  @Override
  protected BackendProvider provider() {
    return new CpuProvider();
  }
}
