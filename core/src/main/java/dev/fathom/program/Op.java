package dev.fathom.program;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One operation of a program.
 *
 * <p>Operations are records: operands, attributes and the value they define. All arithmetic is
 * float32 on float32-dequantized weights unless a backend's named mode says otherwise. Shapes were
 * checked by {@link ProgramBuilder}.
 */
public sealed interface Op
    permits Op.Embed,
        Op.RmsNorm,
        Op.Linear,
        Op.Slice,
        Op.Concat,
        Op.Reshape,
        Op.Rope,
        Op.StoreKv,
        Op.LatentAttention,
        Op.Attention,
        Op.TopKIndex,
        Op.LayerNorm,
        Op.Route,
        Op.Moe,
        Op.SwiGlu,
        Op.Add,
        Op.Logits,
        StreamOp,
        CompressedOp {

  /**
   * Returns the name that the printer, the profiler and error messages use: the record's, its first
   * letter in lower case.
   */
  default String kind() {
    String name = getClass().getSimpleName();
    return Character.toLowerCase(name.charAt(0)) + name.substring(1);
  }

  /** Returns the values that the operation reads. */
  List<Value> operands();

  /** Returns the weights that the operation reads. */
  default List<WeightRef> weights() {
    return List.of();
  }

  /** Returns the value that the operation defines, or null where it only writes the KV cache. */
  @Nullable Value result();

  /**
   * Looks rows of a matrix up: out[t] = weight[tokens[t]].
   *
   * @param result [T, C]
   * @param tokens [T] i32, each in [0, V)
   * @param weight [V, C]
   */
  record Embed(Value result, Value tokens, WeightRef weight) implements Op {
    @Override
    public List<Value> operands() {
      return List.of(tokens);
    }

    @Override
    public List<WeightRef> weights() {
      return List.of(weight);
    }
  }

  /**
   * Root-mean-square norm over the last axis: in / sqrt(mean(in^2) + eps) * weight.
   *
   * @param result the shape of input
   * @param input [.., C]
   * @param weight [C]
   * @param eps added to the mean of the squares
   */
  record RmsNorm(Value result, Value input, WeightRef weight, float eps) implements Op {
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
   * A matrix product: out = input * weight^T + bias, and where the sequence has an adapter with an
   * entry of this name, + scale * (input * A^T) * B^T.
   *
   * @param name the place where recipes, adapters and taps attach: the tensor name without
   *     ".weight"
   * @param result [.., out]
   * @param input [.., in]
   * @param weight [out, in]
   * @param bias [out] or null
   */
  record Linear(String name, Value result, Value input, WeightRef weight, @Nullable WeightRef bias)
      implements Op {
    @Override
    public List<Value> operands() {
      return List.of(input);
    }

    @Override
    public List<WeightRef> weights() {
      return bias == null ? List.of(weight) : List.of(weight, bias);
    }
  }

  /**
   * A part of the last axis: out = input[.., begin..end).
   *
   * @param result [.., end - begin]
   * @param input [.., C]
   * @param begin first element, inclusive
   * @param end last element, exclusive
   */
  record Slice(Value result, Value input, int begin, int end) implements Op {
    @Override
    public List<Value> operands() {
      return List.of(input);
    }
  }

  /**
   * Vectors one behind the other: out = [parts_0, parts_1, ..].
   *
   * @param result [.., the sum of the parts' widths]
   * @param parts [.., n] each, equal but for the last axis
   */
  record Concat(Value result, List<Value> parts) implements Op {
    /** Copies the parts. */
    public Concat {
      parts = List.copyOf(parts);
    }

    @Override
    public List<Value> operands() {
      return parts;
    }
  }

  /**
   * The same elements under other trailing dimensions.
   *
   * @param result as many elements a token as input
   * @param input any trailing dimensions
   */
  record Reshape(Value result, Value input) implements Op {
    @Override
    public List<Value> operands() {
      return List.of(input);
    }
  }

  /**
   * Rotary position embedding on elements [begin, begin + rope.dim()) of the last axis, by each
   * token's position; the other elements pass through.
   *
   * @param result the shape of input
   * @param input [T, .., D]
   * @param rope frequencies and layout
   * @param begin first element that is turned
   */
  record Rope(Value result, Value input, RopeSpec rope, int begin) implements Op {
    @Override
    public List<Value> operands() {
      return List.of(input);
    }
  }

  /**
   * Writes what later tokens attend to into the paged cache, at each token's position: for a latent
   * cache the normalised latent and then the rotated shared key.
   *
   * @param spec the cache that is written
   * @param parts [T, n] each; their widths add up to spec.elementsPerToken()
   */
  record StoreKv(KvSpec spec, List<Value> parts) implements Op {
    /** Copies the parts. */
    public StoreKv {
      parts = List.copyOf(parts);
    }

    @Override
    public List<Value> operands() {
      return parts;
    }

    @Override
    public @Nullable Value result() {
      return null;
    }
  }

  /**
   * Multi-head latent attention over the cached latents of the sequence, causal by position
   * (DeepSeek-V2 paper, section 2.1).
   *
   * <p>Head h owns rows [h * (nope + v), (h + 1) * (nope + v)) of kvB: first nope rows of W_UK,
   * then v rows of W_UV. The score is (q_nope . W_UK c_s + q_rope . k_s) * scale. A backend
   * computes it expanded (keys and values rebuilt from the latents) or absorbed (W_UK applied to
   * the query and W_UV to the weighted latents); both are the same function.
   *
   * @param result [T, H, v]
   * @param query [T, H, nope + rope], rope part already turned
   * @param kvB [H * (nope + v), L]
   * @param cache the latent cache, already holding this step's tokens
   * @param qkNopeHeadDim elements of a query head without position
   * @param scale factor on the scores
   * @param selection [T, k] positions that a token attends to, -1 for none, or null for all
   */
  record LatentAttention(
      Value result,
      Value query,
      WeightRef kvB,
      KvSpec.Latent cache,
      int qkNopeHeadDim,
      float scale,
      @Nullable Value selection)
      implements Op {
    @Override
    public List<Value> operands() {
      return selection == null ? List.of(query) : List.of(query, selection);
    }

    @Override
    public List<WeightRef> weights() {
      return List.of(kvB);
    }

    /** Returns the number of heads H. */
    public int numHeads() {
      return query.shape().dims().getFirst();
    }

    /** Returns the width v of a value head. */
    public int vHeadDim() {
      return result.shape().last();
    }
  }

  /**
   * Attention with keys and values of each position in the cache, causal by position. Head h of the
   * query reads key and value head h / (H / Hkv) (grouped-query attention, arXiv 2305.13245).
   *
   * @param result [T, H, D]
   * @param query [T, H, D], already turned
   * @param cache the cache of keys and values, already holding this step's tokens
   * @param scale factor on the scores
   */
  record Attention(Value result, Value query, KvSpec.Full cache, float scale) implements Op {
    @Override
    public List<Value> operands() {
      return List.of(query);
    }

    /** Returns the number of query heads H. */
    public int numHeads() {
      return query.shape().dims().getFirst();
    }
  }

  /**
   * The lightning indexer (DeepSeek-V3.2): scores every earlier position s of the sequence by scale
   * * sum over heads of weight_h * max(0, query_h . key_s) and keeps the best k, ties lowest
   * position first.
   *
   * @param result [T, k] i32 positions in ascending order, then -1
   * @param query [T, H, D], already turned
   * @param headWeights [T, H], of any sign
   * @param cache index keys or compressed entries, already holding this step's; of entries, those
   *     are scored whose window is complete
   * @param scale factor on the scores, positive
   */
  record TopKIndex(Value result, Value query, Value headWeights, KvSpec cache, float scale)
      implements Op {
    @Override
    public List<Value> operands() {
      return List.of(query, headWeights);
    }
  }

  /**
   * Layer norm over the last axis: (in - mean) / sqrt(variance + eps) * weight + bias.
   *
   * @param result the shape of input
   * @param input [.., C]
   * @param weight [C]
   * @param bias [C]
   * @param eps added to the variance
   */
  record LayerNorm(Value result, Value input, WeightRef weight, WeightRef bias, float eps)
      implements Op {
    @Override
    public List<Value> operands() {
      return List.of(input);
    }

    @Override
    public List<WeightRef> weights() {
      return List.of(weight, bias);
    }
  }

  /**
   * Chooses experts: logits = input * weight^T in float32, then the rule of the spec.
   *
   * @param result [T, K] routing
   * @param input [T, C]
   * @param weight [E, C]
   * @param bias [E], steers the choice but never the weights; or null
   * @param spec how experts are scored and chosen
   */
  record Route(
      Value result, Value input, WeightRef weight, @Nullable WeightRef bias, RouterSpec spec)
      implements Op {
    @Override
    public List<Value> operands() {
      return List.of(input);
    }

    @Override
    public List<WeightRef> weights() {
      return bias == null ? List.of(weight) : List.of(weight, bias);
    }
  }

  /**
   * Mixture of experts: out[t] = sum over the chosen experts, in ascending expert id, of weight *
   * down(silu(gate(x)) * up(x)), accumulated in float32.
   *
   * @param result [T, C]
   * @param input [T, C]
   * @param routing [T, K] routing
   * @param experts E experts of one shape
   * @param limit as in {@link SwiGlu}
   */
  record Moe(Value result, Value input, Value routing, List<Expert> experts, float limit)
      implements Op {
    /** Copies the experts. */
    public Moe {
      experts = List.copyOf(experts);
    }

    @Override
    public List<Value> operands() {
      return List.of(input, routing);
    }

    @Override
    public List<WeightRef> weights() {
      return experts.stream().flatMap(e -> Stream.of(e.gate(), e.up(), e.down())).toList();
    }
  }

  /**
   * Gated activation: out = silu(min(gate, limit)) * clamp(up, -limit, limit).
   *
   * @param result the shape of gate
   * @param gate [.., M]
   * @param up [.., M]
   * @param limit positive infinity where nothing is clamped
   */
  record SwiGlu(Value result, Value gate, Value up, float limit) implements Op {
    @Override
    public List<Value> operands() {
      return List.of(gate, up);
    }
  }

  /**
   * A sum: out = a + b.
   *
   * @param result the shape of a
   * @param a any shape
   * @param b the shape of a
   */
  record Add(Value result, Value a, Value b) implements Op {
    @Override
    public List<Value> operands() {
      return List.of(a, b);
    }
  }

  /**
   * The wanted rows times the head: out[r] = input[token of row r] * weight^T.
   *
   * @param name the place where recipes, adapters and taps attach
   * @param result [R, V]
   * @param input [T, C]
   * @param weight [V, C]
   */
  record Logits(String name, Value result, Value input, WeightRef weight) implements Op {
    @Override
    public List<Value> operands() {
      return List.of(input);
    }

    @Override
    public List<WeightRef> weights() {
      return List.of(weight);
    }
  }
}
