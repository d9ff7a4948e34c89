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
 * <p>In {@link KvFormat#FP8_E4M3} a row holds first the scaled elements, then their scales, then
 * the plain elements:
 *
 * <pre>
 *   byte      0                     512           528                 656
 *             +---------------------+-------------+-------------------+
 *             | latent, 512 x e4m3  | 4 x float32 | key, 64 x bf16    |
 *             +---------------------+-------------+-------------------+
 * </pre>
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

  /** Most elements that share a scale. */
  private static final int GROUP_ELEMENTS = 128;

  /** Bytes that the layer keeps for a token. */
  public long bytesPerToken() {
    if (format == KvFormat.FP8_E4M3) {
      return plainBegin() + 2L * spec.plainElements();
    }
    return (long) spec.elementsPerToken() * format.bytesPerElement();
  }

  /** Elements at the beginning of a row that are scaled in {@link KvFormat#FP8_E4M3}. */
  public int quantizedElements() {
    return spec.elementsPerToken() - spec.plainElements();
  }

  private int groupsOfVector() {
    return Math.ceilDiv(spec.vectorElements(), GROUP_ELEMENTS);
  }

  private long plainBegin() {
    int vectors = quantizedElements() / spec.vectorElements();
    return quantizedElements() + 4L * vectors * groupsOfVector();
  }

  /** First element of the group that shares a scale with a scaled element. */
  public int groupBegin(int element) {
    return element - element % spec.vectorElements() % GROUP_ELEMENTS;
  }

  /** The element behind the group that shares a scale with a scaled element. */
  public int groupEnd(int element) {
    int vectorEnd = element - element % spec.vectorElements() + spec.vectorElements();
    return Math.min(vectorEnd, groupBegin(element) + GROUP_ELEMENTS);
  }

  /** First byte of the scale of a scaled element, from the start of its row. */
  public long scaleOffset(int element) {
    int vector = element / spec.vectorElements();
    int group = element % spec.vectorElements() / GROUP_ELEMENTS;
    return quantizedElements() + 4L * (vector * groupsOfVector() + group);
  }

  /** First byte of an element that keeps 16 bits, from the start of its row. */
  public long plainOffset(int element) {
    return plainBegin() + 2L * (element - quantizedElements());
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
