package dev.fathom.backend.contract;

import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.LatentForm;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.quant.WeightFormat;
import java.util.List;

/** What a backend says about itself before the contract holds it to that. */
abstract class ContractPromises {

  /** Names the backend that is tested. */
  protected abstract BackendProvider provider();

  /** Whether results don't depend on batch mates, chunks, blocks and threads by a single bit. */
  protected boolean bitIdentical() {
    return true;
  }

  /** Factor on all tolerances; 1 for float32 arithmetic. */
  protected double toleranceFactor() {
    return 1;
  }

  /** Forms of latent attention that the backend has. */
  protected List<LatentForm> latentForms() {
    return List.of(LatentForm.values());
  }

  /** Weight formats that the backend places. */
  protected List<WeightFormat> weightFormats() {
    return List.of(WeightFormat.values());
  }

  /** Formats of the KV cache that the backend has. */
  protected List<KvFormat> kvFormats() {
    return List.of(KvFormat.values());
  }

  /** Block sizes that the backend has, in tokens. */
  protected List<Integer> blockTokens() {
    return List.of(1, 4, 64);
  }

  final double tolerance(double relative) {
    return relative * toleranceFactor();
  }
}
