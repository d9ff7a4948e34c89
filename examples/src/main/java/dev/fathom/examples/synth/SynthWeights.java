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
  FP8(WeightFormat.FP8_E4M3),
  /**
   * Matrices of linear layers and the head as signed bytes with a scale for each row, as
   * compressed-tensors stores them.
   */
  INT8(WeightFormat.INT8),
  /**
   * Matrices of linear layers and the head as 4-bit integers with a scale for groups of 32 columns,
   * as compressed-tensors packs them.
   */
  INT4(WeightFormat.INT4);

  /** Ends the name of the router's bias, which is published in float32. */
  static final String ROUTER_BIAS = "e_score_correction_bias";

  private static final List<String> HEADS = List.of("lm_head.weight", "head.weight");

  private final WeightFormat linear;

  SynthWeights(WeightFormat linear) {
    this.linear = linear;
  }

  @Override
  public Stored find(String name, List<Integer> expected, WeightRole role) {
    WeightFormat format =
        switch (role) {
          case LINEAR -> linear;
          case DENSE, VECTOR -> unpacked(name);
        };
    return new Stored(expected.stream().map(Integer::longValue).toList(), format);
  }

  private WeightFormat unpacked(String name) {
    if (name.endsWith(ROUTER_BIAS)) {
      return WeightFormat.F32;
    }
    boolean isInteger = linear == WeightFormat.INT8 || linear == WeightFormat.INT4;
    return isInteger && HEADS.contains(name) ? linear : WeightFormat.BF16;
  }
}
