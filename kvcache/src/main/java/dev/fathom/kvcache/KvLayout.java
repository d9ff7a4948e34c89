package dev.fathom.kvcache;

/**
 * Where the bytes of one layer lie within its part of a block: one row a token, no padding.
 *
 * <p>With B = blockTokens and t = bytesPerToken():
 *
 * <pre>
 *   byte      0           t           2t                 (B-1)·t        B·t
 *             +-----------+-----------+-- ... --+-----------+
 *             | token 0   | token 1   |         | token B-1 |
 *             +-----------+-----------+-- ... --+-----------+
 *
 *   layer     block 0     block 1     block 2      ...           each B·t bytes
 * </pre>
 *
 * <p>What a row holds is drawn at the records of {@link KvSpec}. All layers of a group use the same
 * block ids, each in its own memory. A backend may choose another order inside a block; it then has
 * its own descriptor, but the sizes hold.
 *
 * @param spec what the layer keeps for a token
 * @param format how an element is stored; what the spec keeps in a format of its own ({@link
 *     KvSpec#storedAs}) is stored in that one whatever is asked for
 * @param blockTokens B, tokens of a block, at least 1
 */
public record KvLayout(KvSpec spec, KvFormat format, int blockTokens) {
  /**
   * Checks the sizes and settles the format.
   *
   * @throws IllegalArgumentException if {@code blockTokens} is below 1
   */
  public KvLayout {
    Checks.atLeast(1, "blockTokens", blockTokens);
    format = spec.storedAs(format);
  }

  /** Bytes that the layer keeps for a token. */
  public long bytesPerToken() {
    return (long) spec.elementsPerToken() * format.bytesPerElement();
  }

  /**
   * Bytes of a block of this layer.
   *
   * @throws ArithmeticException if that does not fit a long
   */
  public long blockBytes() {
    return Math.multiplyExact(bytesPerToken(), (long) blockTokens);
  }

  /**
   * First byte of a token's row, from the start of its block.
   *
   * @throws IndexOutOfBoundsException if {@code tokenInBlock} is not in [0, blockTokens)
   */
  public long offset(int tokenInBlock) {
    Checks.index("tokenInBlock", tokenInBlock, blockTokens);
    return tokenInBlock * bytesPerToken();
  }

  /**
   * First byte of a slot's row from the start of the layer's memory, where blocks lie in the order
   * of their ids.
   *
   * @param slot block id · blockTokens + token in the block, as {@link BlockTable#slot} gives it;
   *     not checked
   */
  public long slotOffset(int slot) {
    return slot * bytesPerToken();
  }
}
