package dev.fathom.program;

/** Records hyper-connections into a program; see {@link StreamOp} for the formulas. */
public final class StreamBuilder {

  private final ProgramBuilder g;

  StreamBuilder(ProgramBuilder g) {
    this.g = g;
  }

  /** Copies input [T, C] into numStreams streams. Returns [T, N, C]. */
  public Value repeat(Value input, int numStreams) {
    Expect.f32("repeat", input);
    Expect.that("repeat", numStreams >= 1, "at least one stream", numStreams);
    Value result = g.newValue(ElementType.F32, Shape.tokens(numStreams, input.shape().last()));
    return g.add(new StreamOp.Repeat(result, input), result);
  }

  /**
   * The weights by which a sublayer reads and writes streams [T, N, C].
   *
   * @param function [2N + N*N, N*C]
   * @param base [2N + N*N]
   * @param scale [3]
   * @return [T, 2N + N*N]
   */
  public Value mixing(
      Value streams,
      WeightRef function,
      WeightRef base,
      WeightRef scale,
      double eps,
      double hcEps,
      int sinkhornIterations) {
    int n = numStreams("mixing", streams);
    int width = 2 * n + n * n;
    Expect.matrix("mixing", function, width, streams.shape().width());
    Expect.vector("mixing", base, width);
    Expect.vector("mixing", scale, 3);
    Expect.that("mixing", sinkhornIterations >= 1, "at least one iteration", sinkhornIterations);
    Value result = g.newValue(ElementType.F32, Shape.tokens(width));
    return g.add(
        new StreamOp.Mixing(
            result, streams, function, base, scale, (float) eps, (float) hcEps, sinkhornIterations),
        result);
  }

  /**
   * The weights by which the head reads streams [T, N, C].
   *
   * @param function [N, N*C]
   * @param base [N]
   * @param scale [1]
   * @return [T, N]
   */
  public Value headMixing(
      Value streams,
      WeightRef function,
      WeightRef base,
      WeightRef scale,
      double eps,
      double hcEps) {
    int n = numStreams("headMixing", streams);
    Expect.matrix("headMixing", function, n, streams.shape().width());
    Expect.vector("headMixing", base, n);
    Expect.vector("headMixing", scale, 1);
    Value result = g.newValue(ElementType.F32, Shape.tokens(n));
    return g.add(
        new StreamOp.HeadMixing(result, streams, function, base, scale, (float) eps, (float) hcEps),
        result);
  }

  /** Reads streams [T, N, C] by the first N weights of mixing. Returns [T, C]. */
  public Value collapse(Value streams, Value mixing) {
    int n = numStreams("collapse", streams);
    Expect.that("collapse", mixing.shape().last() >= n, n + " weights or more", mixing.shape());
    Value result = g.newValue(ElementType.F32, Shape.tokens(streams.shape().last()));
    return g.add(new StreamOp.Collapse(result, streams, mixing), result);
  }

  /** Writes update [T, C] into streams [T, N, C]. Returns [T, N, C]. */
  public Value expand(Value streams, Value update, Value mixing) {
    int n = numStreams("expand", streams);
    Expect.last("expand", update, streams.shape().last());
    Expect.last("expand", mixing, 2 * n + n * n);
    Value result = g.newValue(ElementType.F32, streams.shape());
    return g.add(new StreamOp.Expand(result, streams, update, mixing), result);
  }

  private static int numStreams(String op, Value streams) {
    Expect.f32(op, streams);
    Expect.that(op, streams.shape().dims().size() == 2, "streams [T, N, C]", streams.shape());
    return streams.shape().dims().getFirst();
  }
}
