package dev.fathom.cpu;

import dev.fathom.backend.BackendProvider;
import dev.fathom.golden.PackedContract;

/** With float32 activations: the exact products of the decoded weights. */
class CpuPackedTest extends PackedContract {

  @Override
  protected BackendProvider provider() {
    return new FloatActivations();
  }
}
