package dev.fathom.jmh;

import dev.fathom.moe.RouterSpec;
import org.jspecify.annotations.Nullable;

/** The sizes of a published model, under the names of its config.json. */
public enum ModelShape {
  /** DeepSeek-V2-Lite, 16 B parameters. */
  V2_LITE(
      new Widths(2048, 10_944, 102_400),
      new Latent(16, 512, 128, 64, 128),
      null,
      new Experts(new RouterSpec.SoftmaxGreedy(64, 6, false, 1), 1408),
      null),
  /** DeepSeek-V3 and R1, 671 B parameters, with the indexer of V3.2. */
  V3(
      new Widths(7168, 18_432, 129_280),
      new Latent(128, 512, 128, 64, 128),
      null,
      new Experts(new RouterSpec.SigmoidNoAuxTc(256, 8, 8, 4, true, 2.5), 2048),
      new Indexer(64, 128, 2048)),
  /** Qwen2-1.5B, the shape of R1-Distill-Qwen-1.5B. */
  QWEN2_1_5B(new Widths(1536, 8960, 151_936), null, new Grouped(12, 2, 128), null, null);

  /**
   * What every model has.
   *
   * @param hiddenSize C
   * @param intermediateSize width of a dense feed-forward layer
   * @param vocabSize V
   */
  record Widths(int hiddenSize, int intermediateSize, int vocabSize) {}

  /**
   * Latent attention.
   *
   * @param numHeads H
   * @param kvLoraRank R
   * @param qkNopeHeadDim elements of a query head without position
   * @param qkRopeHeadDim elements of a query head with position
   * @param vHeadDim elements of a value head
   */
  record Latent(int numHeads, int kvLoraRank, int qkNopeHeadDim, int qkRopeHeadDim, int vHeadDim) {}

  /**
   * Grouped-query attention.
   *
   * @param numHeads query heads
   * @param numKvHeads heads of keys and values
   * @param headDim D
   */
  record Grouped(int numHeads, int numKvHeads, int headDim) {}

  /**
   * A mixture of experts.
   *
   * @param router how experts are chosen
   * @param moeIntermediateSize width of one expert
   */
  record Experts(RouterSpec router, int moeIntermediateSize) {}

  /**
   * The lightning indexer.
   *
   * @param indexNumHeads H
   * @param indexHeadDim D
   * @param indexTopK positions kept
   */
  record Indexer(int indexNumHeads, int indexHeadDim, int indexTopK) {}

  private final Widths widths;
  private final @Nullable Latent latent;
  private final @Nullable Grouped grouped;
  private final @Nullable Experts experts;
  private final @Nullable Indexer indexer;

  ModelShape(
      Widths widths,
      @Nullable Latent latent,
      @Nullable Grouped grouped,
      @Nullable Experts experts,
      @Nullable Indexer indexer) {
    this.widths = widths;
    this.latent = latent;
    this.grouped = grouped;
    this.experts = experts;
    this.indexer = indexer;
  }

  int hiddenSize() {
    return widths.hiddenSize();
  }

  int intermediateSize() {
    return widths.intermediateSize();
  }

  int vocabSize() {
    return widths.vocabSize();
  }

  Latent latent() {
    return present("latent attention", latent);
  }

  Grouped grouped() {
    return present("grouped-query attention", grouped);
  }

  Experts experts() {
    return present("experts", experts);
  }

  Indexer indexer() {
    return present("an indexer", indexer);
  }

  private <T> T present(String what, @Nullable T part) {
    if (part == null) {
      throw new IllegalArgumentException("must have " + what + ": model=" + this);
    }
    return part;
  }
}
