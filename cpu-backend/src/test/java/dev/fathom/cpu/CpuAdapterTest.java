package dev.fathom.cpu;

import dev.fathom.backend.BackendProvider;
import dev.fathom.golden.AdapterContract;

class CpuAdapterTest extends AdapterContract {

  @Override
  protected BackendProvider provider() {
    return new CpuProvider();
  }
}
