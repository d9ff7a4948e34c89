package dev.fathom.program;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Operations of DeepSeek-V4's attention and of its hash-routed layers. */
public sealed interface CompressedOp extends Op {

  /**
   * Root-mean-square norm without a weight over the last axis: in / sqrt(mean(in^2) + eps).
   *
   * @param result the shape of input
   * @param input [.., C]
   * @param eps added to the mean of the squares
   */
  record UnitNorm(Value result, Value input, float eps) implements CompressedOp {
    @Override
    public List<Value> operands() {
      return List.of(input);
    }
  }

  /**
   * A block-diagonal matrix product: out[t, g] = input[t, g] * weight_g^T.
   *
   * @param name the place where recipes and taps attach
   * @param result [T, G * out]
   * @param input [T, G, in]
   * @param weight [G * out, in], group after group
   */
  record GroupedLinear(String name, Value result, Value input, WeightRef weight)
      implements CompressedOp {
    @Override
    public List<Value> operands() {
      return List.of(input);
    }

    @Override
    public List<WeightRef> weights() {
      return List.of(weight);
    }
  }

  /**
   * Pools complete windows of tokens into entries (DeepSeek-V4). A window of m = ratio tokens ends
   * at every position t with (t + 1) divisible by m. For each channel, the values of the window are
   * weighed by a softmax over their gates plus ape[t mod m].
   *
   * <p>Where rows have twice the channels of an entry, windows overlap: the first half of the
   * channels is read from the previous window (absent for the first one), the second half from this
   * one, and the softmax runs over both. The entry is normed, turned at the position of the first
   * token of its window, and stored.
   *
   * @param rows value and gate rows, already holding this step's tokens
   * @param entries where entries go
   * @param ape [m, channels of the rows], added to gates
   * @param norm [width of an entry]
   * @param eps epsilon of the norm
   * @param rope rotation of the last elements
   */
  record CompressKv(
      KvSpec.CompressorRows rows,
      KvSpec.Compressed entries,
      WeightRef ape,
      WeightRef norm,
      float eps,
      RopeSpec rope)
      implements CompressedOp {
    @Override
    public List<Value> operands() {
      return List.of();
    }

    @Override
    public List<WeightRef> weights() {
      return List.of(ape, norm);
    }

    @Override
    public @Nullable Value result() {
      return null;
    }
  }

  /**
   * Attention to a sliding window and, where there is one, a compressed cache, under one softmax
   * with a sink for each head: the sink is a logit that takes probability and gives no value. An
   * entry is key and value at once. An entry is visible once its window is complete, the token
   * itself included.
   *
   * @param result [T, H, D]
   * @param query [T, H, D], already turned
   * @param window the newest tokens, already holding this step's
   * @param compressed entries, or null
   * @param selection [T, k] entries that a token attends to, -1 for none; or null for all visible
   * @param sinks [H]
   * @param scale factor on the scores, not on the sinks
   */
  record WindowAttention(
      Value result,
      Value query,
      KvSpec.SlidingWindow window,
      KvSpec.@Nullable Compressed compressed,
      @Nullable Value selection,
      WeightRef sinks,
      float scale)
      implements CompressedOp {
    @Override
    public List<Value> operands() {
      return selection == null ? List.of(query) : List.of(query, selection);
    }

    @Override
    public List<WeightRef> weights() {
      return List.of(sinks);
    }
  }

  /**
   * Chooses experts by token id and weighs them by the router's scores.
   *
   * @param result [T, K] routing
   * @param input [T, C]
   * @param tokens [T] i32
   * @param weight [E, C]
   * @param table [V, K] expert ids, stored as numbers
   * @param spec how chosen experts are weighed
   */
  record HashRoute(
      Value result, Value input, Value tokens, WeightRef weight, WeightRef table, RouterSpec spec)
      implements CompressedOp {
    @Override
    public List<Value> operands() {
      return List.of(input, tokens);
    }

    @Override
    public List<WeightRef> weights() {
      return List.of(weight, table);
    }
  }
}
