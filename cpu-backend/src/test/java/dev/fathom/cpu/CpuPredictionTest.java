package dev.fathom.cpu;

import dev.fathom.backend.BackendProvider;
import dev.fathom.golden.PredictionContract;

class CpuPredictionTest extends PredictionContract {

  @Override
  protected BackendProvider provider() {
    return new CpuProvider();
  }
}
