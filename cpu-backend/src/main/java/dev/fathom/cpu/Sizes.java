package dev.fathom.cpu;

import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.ScratchPlan;
import dev.fathom.cpu.kernel.Lanes;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.Order;
import dev.fathom.cpu.onednn.Products;
import dev.fathom.program.CompressedOp;
import dev.fathom.program.Expert;
import dev.fathom.program.Lead;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.RopeSpec;
import dev.fathom.program.StreamOp;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.Set;

/** How much scratch memory a program needs, in elements; each the largest over its operations. */
final class Sizes {

  private static final int ARRAY_LIMIT = Integer.MAX_VALUE - 8;

  /** Rows of experts whose results fit in any case: eight tokens of eight experts. */
  private static final int MOST_APART = 64;

  private final CompileOptions options;
  private final long slotBytes;
  private int ordered;
  private long rounded;
  private int scores;
  private int experts;
  private int expertRows;
  private int intermediate;
  private int downInputs;
  private long rowMajorBytes;
  private int down;
  private int latentHeads;
  private int latentQueries;
  private int latents;
  private int absorbed;
  private long latentSegments;
  private int keyWidth;
  private int valueWidth;
  private int indexHeads;
  private int indexDim;
  private int indexPositions;
  private int pooled;
  private final int cols;
  private final int vocab;
  private final Set<RopeSpec> ropes = new HashSet<>();

  Sizes(Program program, CompileOptions options) {
    this.options = options;
    this.slotBytes =
        new ScratchPlan(program, options.outputs()).bytes(options.maxTokens(), options.maxRows());
    this.vocab = program.vocabSize();
    this.cols = program.weights().stream().mapToInt(WeightRef::cols).max().orElse(1);
    program.ops().forEach(this::measure);
  }

  private void measure(Op op) {
    switch (op) {
      case Op.Linear linear -> {
        order(vectors(linear.input()), linear.weight().cols());
        round(vectors(linear.input()), linear.weight().cols());
      }
      case Op.Logits logits -> order(options.maxRows(), logits.weight().cols());
      case Op.Route route -> {
        order(options.maxTokens(), route.weight().cols());
        experts = Math.max(experts, route.spec().numExperts());
        scores = Math.max(scores, elements(options.maxTokens(), route.spec().numExperts()));
      }
      case Op.Moe moe -> measureMoe(moe);
      case Op.Rope rope -> ropes.add(rope.rope());
      case Op.LatentAttention attention -> {
        int heads = attention.numHeads() * LatentScratch.tokens(attention, options.maxTokens());
        latentHeads = Math.max(latentHeads, heads);
        latentQueries =
            Math.max(latentQueries, elements(heads, attention.cache().elementsPerToken()));
        latents = Math.max(latents, elements(heads, attention.cache().kvLoraRank()));
        absorbed =
            Math.max(absorbed, elements(attention.qkNopeHeadDim(), attention.cache().kvLoraRank()));
        long positions = (long) options.maxBlocksPerSequence() * options.blockTokens();
        latentSegments =
            Math.max(latentSegments, LatentAttentionOperation.segmentFloats(attention, positions));
        keyWidth = Math.max(keyWidth, attention.cache().elementsPerToken());
        valueWidth = Math.max(valueWidth, attention.cache().kvLoraRank());
        rowMajorBytes += rowMajorBytes(attention.kvB());
      }
      case Op.Attention attention -> {
        keyWidth = Math.max(keyWidth, attention.cache().headDim());
        valueWidth = Math.max(valueWidth, attention.cache().headDim());
      }
      case Op.TopKIndex index -> {
        indexHeads = Math.max(indexHeads, index.query().shape().dims().getFirst());
        indexDim = Math.max(indexDim, index.cache().elementsPerToken());
        indexPositions = elements(options.maxBlocksPerSequence(), options.blockTokens());
      }
      case StreamOp.Mixing mixing -> order(options.maxTokens(), mixing.function().cols());
      case StreamOp.HeadMixing mixing -> order(options.maxTokens(), mixing.function().cols());
      case CompressedOp compressed -> measure(compressed);
      default -> {}
    }
  }

  private void measure(CompressedOp op) {
    switch (op) {
      case CompressedOp.GroupedLinear linear ->
          order(vectors(linear.input()), linear.weight().cols());
      case CompressedOp.HashRoute route -> {
        order(options.maxTokens(), route.weight().cols());
        experts = Math.max(experts, route.spec().numExperts());
        scores = Math.max(scores, elements(options.maxTokens(), route.spec().numExperts()));
      }
      case CompressedOp.WindowAttention attention -> {
        keyWidth = Math.max(keyWidth, attention.window().headDim());
        valueWidth = Math.max(valueWidth, attention.window().headDim());
      }
      case CompressedOp.CompressKv compress ->
          pooled = Math.max(pooled, CompressKvOperation.floats(compress));
      case CompressedOp.UnitNorm _ -> {}
    }
  }

  /** Repacked weights of an absorbed product are kept row by row too. */
  private static long rowMajorBytes(WeightRef weight) {
    return switch (weight.format()) {
      case INT8, INT4 -> Matrix.integerBytes(8, weight.rows(), weight.cols());
      case BF16 -> (long) Short.BYTES * weight.rows() * weight.cols();
      case F32, F16, FP8_E4M3, MXFP4 -> 0;
    };
  }

  private void measureMoe(Op.Moe moe) {
    int rows = elements(options.maxTokens(), moe.routing().shape().last());
    int cols = moe.input().shape().last();
    order(elements(options.maxTokens(), orders(moe)), cols);
    round(rows, Math.max(cols, moe.experts().getFirst().gate().rows()));
    expertRows = Math.max(expertRows, rows);
    intermediate = Math.max(intermediate, elements(rows, moe.experts().getFirst().gate().rows()));
    int width = moe.experts().getFirst().gate().rows();
    downInputs = Math.max(downInputs, elements(rows, Order.mostLen(width)));
    int products = Math.max(options.maxTokens(), Math.min(rows, MOST_APART));
    down = Math.max(down, elements(products, cols));
  }

  private void round(int vectors, int width) {
    rounded = Math.max(rounded, (long) vectors * Products.padded(width));
  }

  /** Most orders in which the inputs of gates and ups can be wanted at once, at least 1. */
  private static int orders(Op.Moe moe) {
    Set<Order> orders = EnumSet.noneOf(Order.class);
    for (Expert expert : moe.experts()) {
      orders.add(Matrix.order(expert.gate().format()));
      orders.add(Matrix.order(expert.up().format()));
    }
    orders.remove(Order.NATURAL);
    return Math.max(1, orders.size());
  }

  private int vectors(Value value) {
    int rows = value.shape().lead() == Lead.TOKENS ? options.maxTokens() : options.maxRows();
    return elements(rows, value.shape().width() / value.shape().last());
  }

  private void order(int vectors, int width) {
    ordered = Math.max(ordered, elements(vectors, Order.mostLen(width)));
  }

  static int elements(int rows, int width) {
    long elements = (long) rows * width;
    if (elements > ARRAY_LIMIT) {
      throw new IllegalArgumentException(
          "must be <= " + ARRAY_LIMIT + ": rows=" + rows + " width=" + width);
    }
    return (int) elements;
  }

  /** Activations brought into the order of a weight format. */
  int ordered() {
    return ordered;
  }

  /** Activations rounded to bfloat16, of all chosen experts. */
  long rounded() {
    return rounded;
  }

  /** Router logits [T, E]. */
  int scores() {
    return scores;
  }

  /** Most experts of a router, at least 1. */
  int experts() {
    return Math.max(1, experts);
  }

  /** Rows of the expert plan, T * K. */
  int expertRows() {
    return expertRows;
  }

  /** Gate (or up) activations of all chosen experts, [T * K, M]. */
  int intermediate() {
    return intermediate;
  }

  /** Up activations, and then what the down products take, of all chosen experts. */
  int downInputs() {
    return downInputs;
  }

  /** Results of one expert for all tokens, or of all experts for few of them, [row][C]. */
  int down() {
    return down;
  }

  /** Most columns of a weight. */
  int cols() {
    return cols;
  }

  /** Logits of a row. */
  int vocab() {
    return vocab;
  }

  /** Heads of the tokens that go through latent attention together. */
  int latentHeads() {
    return latentHeads;
  }

  /** Their queries in latent space. */
  int latentQueries() {
    return latentQueries;
  }

  /** Their results in latent space. */
  int latents() {
    return latents;
  }

  /** States of all segments of the longest sequence, for some heads of a token. */
  long latentSegments() {
    return latentSegments;
  }

  /** Rows of W_UK of a head. */
  int absorbed() {
    return absorbed;
  }

  /** Widest key of an attention. */
  int keyWidth() {
    return keyWidth;
  }

  /** Widest value of an attention. */
  int valueWidth() {
    return valueWidth;
  }

  /** Most heads of an indexer. */
  int indexHeads() {
    return indexHeads;
  }

  /** Widest key of an indexer. */
  int indexDim() {
    return indexDim;
  }

  /** Positions of the longest sequence where there is an indexer, else 0. */
  int indexPositions() {
    return indexPositions;
  }

  /** Scratch of a thread that pools windows of tokens. */
  int pooled() {
    return pooled;
  }

  /** Returns an upper bound of the bytes that an executable allocates, without the KV cache. */
  long bytes(int threads) {
    long perThread =
        HeadScratch.floats(this)
            + TopKIndexOperation.Scratch.floats(this)
            + pooled
            + 5L * Lanes.scratchLen()
            + Matrix.scratchLen(cols);
    long rope = 0;
    for (RopeSpec spec : ropes) {
      rope += 2L * options.maxTokens() * spec.dim();
    }
    long floats =
        (long) ordered
            + scores
            + intermediate
            + downInputs
            + down
            + vocab
            + threads * perThread
            + rope
            + 4L * expertRows
            + 4L * options.maxTokens();
    return slotBytes + rowMajorBytes + LatentScratch.bytes(this, threads) + Float.BYTES * floats;
  }
}
