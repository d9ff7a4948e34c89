package dev.fathom.golden;

import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.reference.ReferenceProvider;

class ReferenceEmbeddingTest extends EmbeddingContract {

  @Override
  protected BackendProvider provider() {
    return new ReferenceProvider();
  }
}
