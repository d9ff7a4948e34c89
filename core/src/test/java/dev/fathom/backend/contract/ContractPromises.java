package dev.fathom.backend.contract;

import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.LatentForm;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.program.Op;
import dev.fathom.quant.WeightFormat;
import java.util.List;

/** What a backend says about itself before the contract holds it to that. */
public abstract class ContractPromises {

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

  /** Exact weight formats that the backend places, of those that {@link WeightFixture} makes. */
  protected List<WeightFormat> weightFormats() {
    return List.of(WeightFormat.F32, WeightFormat.F16, WeightFormat.BF16, WeightFormat.FP8_E4M3);
  }

  /** Further formats that experts of one layer may have beside {@link #weightFormats}. */
  protected List<WeightFormat> moreExpertFormats() {
    return List.of(WeightFormat.INT8, WeightFormat.INT4, WeightFormat.MXFP4);
  }

  /** Largest difference, of the largest value, where integer weights meet rounded activations. */
  protected double roundedTolerance() {
    return 3e-2;
  }

  /** Whether the backend has an operation; every backend has those of DeepSeek-V3. */
  protected boolean supports(Class<? extends Op> operation) {
    return true;
  }

  /** Formats of the KV cache that the backend has. */
  protected List<KvFormat> kvFormats() {
    return List.of(KvFormat.values());
  }

  /** Block sizes that the backend has, in tokens. */
  protected List<Integer> blockTokens() {
    return List.of(1, 4, 64);
  }

  /** Returns a tolerance of float32 arithmetic as this backend may have it. */
  protected final double tolerance(double relative) {
    return relative * toleranceFactor();
  }
}
