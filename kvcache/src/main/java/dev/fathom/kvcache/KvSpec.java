package dev.fathom.kvcache;

/**
 * What one layer keeps for each token of a sequence.
 *
 * <p>Threads: immutable.
 */
public sealed interface KvSpec {
  /** Index of the layer in the model, from 0. */
  int layer();

  /** Elements stored in each slot: for each token, or for each entry that stands for several. */
  int elementsPerToken();

  /** Tokens that one slot stands for: 1, or the ratio of a compressed cache. */
  default int tokensPerSlot() {
    return 1;
  }

  /** Newest tokens that must be kept, or 0 where all are. */
  default int windowTokens() {
    return 0;
  }

  /** The format that the elements have where the model's cache has another: state stays float32. */
  default KvFormat storedAs(KvFormat format) {
    return format;
  }

  /** Elements at the end of a row that keep 16 bits where the others are scaled to 8. */
  default int plainElements() {
    return 0;
  }

  /** Elements of a vector: scales of an 8-bit format never span two of them. */
  default int vectorElements() {
    return elementsPerToken() - plainElements();
  }

  /** Which of a layer's two compressors a cache belongs to. */
  enum Stream {
    /** Entries that attention reads. */
    MAIN,
    /** Entries that the indexer scores. */
    INDEXER
  }

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

    @Override
    public int plainElements() {
      return qkRopeHeadDim;
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

    @Override
    public int vectorElements() {
      return headDim;
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

  /**
   * Sliding-window attention: one vector that is key and value of all heads (DeepSeek-V4).
   *
   * @param layer index of the layer
   * @param headDim elements, at least 1
   * @param windowTokens tokens that a query sees, itself included, at least 1
   */
  record SlidingWindow(int layer, int headDim, int windowTokens) implements KvSpec {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if one is too small
     */
    public SlidingWindow {
      Checks.atLeast(0, "layer", layer);
      Checks.atLeast(1, "headDim", headDim);
      Checks.atLeast(1, "windowTokens", windowTokens);
    }

    @Override
    public int elementsPerToken() {
      return headDim;
    }
  }

  /**
   * What a compressor has not pooled yet: value and gate rows of the newest tokens, in float32. A
   * window rather than a running state, so that rejected drafts are dropped by truncation.
   *
   * <pre>
   *   element  0               C               2·C
   *            +---------------+---------------+
   *            | values [C]    | gates [C]     |
   *            +---------------+---------------+
   * </pre>
   *
   * @param layer index of the layer
   * @param stream which compressor
   * @param channels C, at least 1
   * @param windowTokens tokens that an entry pools, at least 1
   */
  record CompressorRows(int layer, Stream stream, int channels, int windowTokens)
      implements KvSpec {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if one is too small
     */
    public CompressorRows {
      Checks.atLeast(0, "layer", layer);
      Checks.atLeast(1, "channels", channels);
      Checks.atMost(Integer.MAX_VALUE / 2, "channels", channels);
      Checks.atLeast(1, "windowTokens", windowTokens);
    }

    @Override
    public int elementsPerToken() {
      return 2 * channels;
    }

    @Override
    public KvFormat storedAs(KvFormat format) {
      return KvFormat.F32;
    }
  }

  /**
   * Compressed attention: one entry for every ratio tokens.
   *
   * @param layer index of the layer
   * @param stream which compressor made it
   * @param width elements of an entry, at least 1
   * @param ratio tokens that an entry stands for, at least 1
   */
  record Compressed(int layer, Stream stream, int width, int ratio) implements KvSpec {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if one is too small
     */
    public Compressed {
      Checks.atLeast(0, "layer", layer);
      Checks.atLeast(1, "width", width);
      Checks.atLeast(1, "ratio", ratio);
    }

    @Override
    public int elementsPerToken() {
      return width;
    }

    @Override
    public int tokensPerSlot() {
      return ratio;
    }
  }
}
