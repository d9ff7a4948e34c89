package dev.fathom.backend.reference;

import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.contract.BackendContract;

class ReferenceContractTest extends BackendContract {

  @Override
  protected BackendProvider provider() {
    return new ReferenceProvider();
  }
}
