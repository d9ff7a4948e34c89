package dev.fathom.examples.synth;

import dev.fathom.arch.TensorCatalog;
import dev.fathom.arch.WeightRole;
import dev.fathom.quant.WeightFormat;
import java.util.List;

/** How a synthetic checkpoint stores its weights: a catalog that has whatever is asked for. */
public enum SynthWeights implements TensorCatalog {
  /** All matrices as bfloat16. */
  BF16(WeightFormat.BF16),
  /** Matrices of linear layers as E4M3 in blocks of 128 x 128, as DeepSeek publishes them. */
  FP8(WeightFormat.FP8_E4M3);

  /** Ends the name of the router's bias, which is published in float32. */
  static final String ROUTER_BIAS = "e_score_correction_bias";

  private final WeightFormat linear;

  SynthWeights(WeightFormat linear) {
    this.linear = linear;
  }

  @Override
  public Stored find(String name, List<Integer> expected, WeightRole role) {
    WeightFormat format =
        switch (role) {
          case LINEAR -> linear;
          case DENSE, VECTOR -> name.endsWith(ROUTER_BIAS) ? WeightFormat.F32 : WeightFormat.BF16;
        };
    return new Stored(expected.stream().map(Integer::longValue).toList(), format);
  }
}
