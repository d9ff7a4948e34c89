package dev.fathom;

import org.jspecify.annotations.Nullable;

/**
 * How texts become vectors. Immutable: each method with an argument returns changed options.
 *
 * @param pooling how the states of tokens become one vector
 * @param normalized whether each vector has length 1 (a vector of zeros stays as it is)
 * @param truncated whether a text that is longer than the context is cut at its end; else it is
 *     refused
 * @param adapter name of a loaded adapter, or null
 */
public record EmbeddingOptions(
    Pooling pooling, boolean normalized, boolean truncated, @Nullable String adapter) {

  private static final EmbeddingOptions DEFAULTS =
      new EmbeddingOptions(Pooling.LAST_TOKEN, true, false, null);

  /** Returns the state of the last token, normalised; long texts refused; no adapter. */
  public static EmbeddingOptions defaults() {
    return DEFAULTS;
  }

  /** Returns these options with another pooling. */
  public EmbeddingOptions pooling(Pooling other) {
    return new EmbeddingOptions(other, normalized, truncated, adapter);
  }

  /** Returns these options, with vectors of length 1 or not. */
  public EmbeddingOptions normalized(boolean normalize) {
    return new EmbeddingOptions(pooling, normalize, truncated, adapter);
  }

  /** Returns these options, with long texts cut or refused. */
  public EmbeddingOptions truncated(boolean truncate) {
    return new EmbeddingOptions(pooling, normalized, truncate, adapter);
  }

  /** Returns these options with an adapter, or without one for null. */
  public EmbeddingOptions adapter(@Nullable String name) {
    return new EmbeddingOptions(pooling, normalized, truncated, name);
  }
}
