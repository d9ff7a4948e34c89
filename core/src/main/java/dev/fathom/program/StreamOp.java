package dev.fathom.program;

import java.util.List;

/**
 * Operations of manifold-constrained hyper-connections (DeepSeek-V4): N residual streams that each
 * sublayer reads by learned weights and writes back through a doubly stochastic mix. All float32.
 */
public sealed interface StreamOp extends Op {

  @Override
  Value result();

  /**
   * Copies a vector into every residual stream: out[t, k] = in[t].
   *
   * @param result [T, N, C]
   * @param input [T, C]
   */
  record Repeat(Value result, Value input) implements StreamOp {
    @Override
    public List<Value> operands() {
      return List.of(input);
    }
  }

  /**
   * The weights by which a sublayer reads and writes the streams. With v the flattened streams, r =
   * 1 / sqrt(mean(v^2) + eps) and m = (function * v) * r, split into N, N and N x N numbers:
   *
   * <p>read_j = sigmoid(m_j * scale_0 + base_j) + hcEps; write_j = 2 sigmoid(m_(N+j) * scale_1 +
   * base_(N+j)); mix = m_(2N..) * scale_2 + base_(2N..), made doubly stochastic by Sinkhorn: a
   * softmax of each row plus hcEps, then columns and rows are divided in turn by their sum plus
   * hcEps, ending with columns.
   *
   * @param result [T, 2N + N*N]: read, write, mix row by row
   * @param streams [T, N, C]
   * @param function [2N + N*N, N*C]
   * @param base [2N + N*N]
   * @param scale [3]
   * @param eps added to the mean of the squares
   * @param hcEps added where the formulas say
   * @param sinkhornIterations rounds of row and column division, the softmax counting as one
   */
  record Mixing(
      Value result,
      Value streams,
      WeightRef function,
      WeightRef base,
      WeightRef scale,
      float eps,
      float hcEps,
      int sinkhornIterations)
      implements StreamOp {
    @Override
    public List<Value> operands() {
      return List.of(streams);
    }

    @Override
    public List<WeightRef> weights() {
      return List.of(function, base, scale);
    }
  }

  /**
   * The weights by which the head reads the streams: sigmoid(m_j * scale + base_j) + hcEps, with m
   * as in {@link Mixing}.
   *
   * @param result [T, N]
   * @param streams [T, N, C]
   * @param function [N, N*C]
   * @param base [N]
   * @param scale [1]
   * @param eps added to the mean of the squares
   * @param hcEps added to each weight
   */
  record HeadMixing(
      Value result,
      Value streams,
      WeightRef function,
      WeightRef base,
      WeightRef scale,
      float eps,
      float hcEps)
      implements StreamOp {
    @Override
    public List<Value> operands() {
      return List.of(streams);
    }

    @Override
    public List<WeightRef> weights() {
      return List.of(function, base, scale);
    }
  }

  /**
   * Reads the streams: out[t] = sum over j of mixing[t, j] * streams[t, j].
   *
   * @param result [T, C]
   * @param streams [T, N, C]
   * @param mixing [T, at least N]
   */
  record Collapse(Value result, Value streams, Value mixing) implements StreamOp {
    @Override
    public List<Value> operands() {
      return List.of(streams, mixing);
    }
  }

  /**
   * Writes the streams: out[t, k] = write[t, k] * update[t] + sum over j of mix[t, j, k] *
   * streams[t, j].
   *
   * @param result [T, N, C]
   * @param streams [T, N, C]
   * @param update [T, C]
   * @param mixing [T, 2N + N*N] of {@link Mixing}
   */
  record Expand(Value result, Value streams, Value update, Value mixing) implements StreamOp {
    @Override
    public List<Value> operands() {
      return List.of(streams, update, mixing);
    }
  }
}
