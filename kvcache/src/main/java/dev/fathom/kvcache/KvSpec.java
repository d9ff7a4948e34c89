package dev.fathom.kvcache;

/**
 * What one layer keeps for each token of a sequence.
 *
 * <p>Threads: immutable.
 */
public sealed interface KvSpec {
  /** Index of the layer in the model, from 0. */
  int layer();

  /** Elements stored for each token. */
  int elementsPerToken();

  /**
   * Multi-head latent attention: one normalised latent vector and one rotated key, shared by all
   * heads.
   *
   * <pre>
   *   element  0                 R                R + D
   *            +-----------------+----------------+
   *            | latent c_kv [R] | rope key [D]   |
   *            +-----------------+----------------+
   * </pre>
   *
   * <p>Source: DeepSeek-V2, section 2.1.
   *
   * @param layer index of the layer
   * @param kvLoraRank R, at least 1
   * @param qkRopeHeadDim D, at least 0
   */
  record Latent(int layer, int kvLoraRank, int qkRopeHeadDim) implements KvSpec {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if one is too small
     */
    public Latent {
      Checks.atLeast(0, "layer", layer);
      Checks.atLeast(1, "kvLoraRank", kvLoraRank);
      Checks.atLeast(0, "qkRopeHeadDim", qkRopeHeadDim);
      Checks.atMost(Integer.MAX_VALUE, "elementsPerToken", (long) kvLoraRank + qkRopeHeadDim);
    }

    @Override
    public int elementsPerToken() {
      return kvLoraRank + qkRopeHeadDim;
    }
  }

  /**
   * Attention over all earlier tokens with a key and a value for each key-value head.
   *
   * <pre>
   *   element  0                     H·D                    2·H·D
   *            +---------------------+----------------------+
   *            | keys [H, D]         | values [H, D]        |
   *            +---------------------+----------------------+
   * </pre>
   *
   * @param layer index of the layer
   * @param numKvHeads H, at least 1
   * @param headDim D, at least 1
   */
  record Full(int layer, int numKvHeads, int headDim) implements KvSpec {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if one is too small
     */
    public Full {
      Checks.atLeast(0, "layer", layer);
      Checks.atLeast(1, "numKvHeads", numKvHeads);
      Checks.atLeast(1, "headDim", headDim);
      Checks.atMost(Integer.MAX_VALUE / 2, "numKvHeads*headDim", (long) numKvHeads * headDim);
    }

    @Override
    public int elementsPerToken() {
      return 2 * numKvHeads * headDim;
    }
  }

  /**
   * Sparse attention: the key by which the lightning indexer finds a token (DeepSeek-V3.2).
   *
   * <pre>
   *   element  0                D
   *            +----------------+
   *            | index key [D]  |
   *            +----------------+
   * </pre>
   *
   * @param layer index of the layer
   * @param indexHeadDim D, at least 1
   */
  record IndexerKeys(int layer, int indexHeadDim) implements KvSpec {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if one is too small
     */
    public IndexerKeys {
      Checks.atLeast(0, "layer", layer);
      Checks.atLeast(1, "indexHeadDim", indexHeadDim);
    }

    @Override
    public int elementsPerToken() {
      return indexHeadDim;
    }
  }
}
