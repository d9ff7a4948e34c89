package dev.fathom.cpu;

import dev.fathom.program.Op;

/**
 * Memory that the latent attentions of a program share, for some tokens at a time.
 *
 * @param queries in latent space: [token][head][rank + rope]
 * @param natural results in latent space: [head][token][rank]
 * @param ordered the same in the order of the weights
 * @param parts states of segments, each {@link HeadScratch#HEADS} rows
 * @param threadRows the rows of W_UK of a head, for each thread
 * @param identity 0, 1, 2, ...
 */
record LatentScratch(
    float[] queries,
    float[] natural,
    float[] ordered,
    float[] parts,
    float[][] threadRows,
    int[] identity) {

  /** Most tokens that go through the stages together. */
  private static final int MOST_TOKENS = 64;

  /** Elements of their queries, if more than one. */
  private static final int QUERIES = 1 << 21;

  /** Most elements of the states of segments: 16 MiB. */
  private static final int PARTS = 1 << 22;

  static LatentScratch of(Sizes sizes, int threads) {
    int[] identity = new int[sizes.latentHeads()];
    for (int i = 0; i < identity.length; i++) {
      identity[i] = i;
    }
    return new LatentScratch(
        new float[sizes.latentQueries()],
        new float[sizes.latents()],
        new float[sizes.latents()],
        new float[parts(sizes, threads)],
        new float[threads][sizes.absorbed()],
        identity);
  }

  /** Returns the tokens that go through the stages of an attention together. */
  static int tokens(Op.LatentAttention op, int maxTokens) {
    int query = op.numHeads() * op.cache().elementsPerToken();
    return Math.min(maxTokens, Math.max(1, Math.min(MOST_TOKENS, QUERIES / query)));
  }

  /** Returns the bytes of all of it. */
  static long bytes(Sizes sizes, int threads) {
    long parts = parts(sizes, threads);
    long perThread = (long) threads * sizes.absorbed();
    long floats = sizes.latentQueries() + 2L * sizes.latents() + parts + perThread;
    return Float.BYTES * (floats + sizes.latentHeads());
  }

  private static int parts(Sizes sizes, int threads) {
    return (int) Math.min(PARTS, 2L * threads * sizes.latentSegments());
  }

  /** Returns the rows of W_UK of a head for a thread. */
  float[] rows(int part) {
    return threadRows[part];
  }
}
