package dev.fathom.cpu;

import dev.fathom.backend.BackendProvider;
import dev.fathom.golden.EmbeddingContract;

class CpuEmbeddingTest extends EmbeddingContract {

  @Override
  protected BackendProvider provider() {
    return new CpuProvider();
  }
}
