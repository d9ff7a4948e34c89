package dev.fathom.backend.reference;

import dev.fathom.backend.CompileOptions;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;

/** Working memory that operations share, sized once for the largest of them. */
final class Scratch {

  /** One decoded weight row. */
  final float[] row;

  /** The cache of one sequence and layer as float32: [positions, elements a token]. */
  final float[] cache;

  /** Compressed entries of one sequence and layer as float32: [entries, width]. */
  final float[] entries;

  /** Scores of one head: attended positions, then compressed entries, then a sink. */
  final float[] scores;

  /** Positions that one token attends to. */
  final int[] attended;

  /** Rows of kv_b that belong to one head: [nope + v, L]. */
  final float[] headRows;

  /** Keys and values of one head rebuilt from the latents: [positions, nope + v]. */
  final float[] expanded;

  /** One vector of latent width, or the query in latent space. */
  final float[] latent;

  /** Gate and up activations of one expert: [tokens of the step, intermediate]. */
  final float[] gate;

  final float[] up;

  /** Logits of one row, for the sampler to change. */
  final float[] logits;

  Scratch(Program program, CompileOptions options) {
    Sizes s = new Sizes(program, options);
    row = new float[s.row];
    cache = new float[s.cache];
    entries = new float[s.entries];
    scores = new float[s.scores];
    attended = new int[s.positions];
    headRows = new float[s.headRows];
    expanded = new float[s.expanded];
    latent = new float[s.latent];
    gate = new float[s.intermediate];
    up = new float[s.intermediate];
    logits = new float[program.vocabSize()];
  }

  static long bytes(Program program, CompileOptions options) {
    Sizes s = new Sizes(program, options);
    return 4L
        * (0L
            + s.row
            + s.cache
            + s.positions
            + s.entries
            + s.scores
            + s.headRows
            + s.expanded
            + s.latent
            + 2L * s.intermediate
            + program.vocabSize());
  }

  private static final class Sizes {
    int row;
    int cache;
    int positions;
    int entries;
    int scores;
    int headRows;
    int expanded;
    int latent;
    int intermediate;
    private final int maxTokens;

    Sizes(Program program, CompileOptions options) {
      maxTokens = options.maxTokens();
      positions = Math.multiplyExact(options.maxBlocksPerSequence(), options.blockTokens());
      for (WeightRef weight : program.weights()) {
        row = Math.max(row, weight.cols());
      }
      scores = positions;
      for (KvSpec spec : program.kvSpecs()) {
        measure(spec);
      }
      for (Op op : program.ops()) {
        measure(op);
      }
    }

    private void measure(KvSpec spec) {
      int slots = positions / spec.tokensPerSlot() + 1;
      int elements = Math.multiplyExact(slots, spec.elementsPerToken());
      cache = Math.max(cache, Math.max(elements, spec.windowTokens() * spec.elementsPerToken()));
      if (spec instanceof KvSpec.Compressed compressed) {
        entries = Math.max(entries, elements);
        latent = Math.max(latent, compressed.width());
        scores = Math.max(scores, positions + slots + 1);
        scores = Math.max(scores, 2 * compressed.ratio());
      } else if (spec instanceof KvSpec.SlidingWindow) {
        scores = Math.max(scores, positions + 1);
      }
    }

    private void measure(Op op) {
      if (op instanceof Op.LatentAttention attention) {
        int width = attention.qkNopeHeadDim() + attention.vHeadDim();
        int rank = attention.cache().kvLoraRank();
        headRows = Math.max(headRows, width * rank);
        expanded = Math.max(expanded, Math.multiplyExact(positions, width));
        latent = Math.max(latent, rank);
      } else if (op instanceof Op.Moe moe) {
        int width = moe.experts().getFirst().gate().rows();
        intermediate = Math.max(intermediate, Math.multiplyExact(maxTokens, width));
      }
    }
  }
}
