package dev.fathom.json;

/**
 * How much a document may ask of its reader.
 *
 * @param maxDepth objects and arrays that may be open at once, 1 to 512 (the tree is built by
 *     recursion, so this bounds the stack)
 * @param maxNumberLength characters of one number, at least 20
 */
public record JsonLimits(int maxDepth, int maxNumberLength) {
  /** For configuration files and requests: depth 64, numbers to 1000 characters. */
  public static final JsonLimits DEFAULT = new JsonLimits(64, 1000);

  /** For safetensors headers and shard indexes: depth 8, numbers to 1000 characters. */
  public static final JsonLimits HEADER = new JsonLimits(8, 1000);

  /** Checks the limits. */
  public JsonLimits {
    if (maxDepth < 1 || maxDepth > 512) {
      throw new IllegalArgumentException("must be in [1, 512]: maxDepth=" + maxDepth);
    }
    if (maxNumberLength < 20) {
      throw new IllegalArgumentException("must be >= 20: maxNumberLength=" + maxNumberLength);
    }
  }
}
