package dev.fathom.jmh;

import java.util.List;

/** Which rows are measured. */
enum Suite {
  /** Does everything work? A row for most kernels. */
  SMOKE,
  /** What a change to a kernel should be looked at with. */
  QUICK,
  /** All combinations of all parameters. */
  ALL;

  private static final List<Class<?>> BENCHMARKS =
      List.of(
          LinearBenchmark.class,
          LogitsBenchmark.class,
          MoeBenchmark.class,
          LatentAttentionBenchmark.class,
          AttentionBenchmark.class,
          TopKIndexBenchmark.class,
          RouteBenchmark.class,
          ElementwiseBenchmark.class,
          LogSumExpBenchmark.class,
          HostSamplerBenchmark.class);

  /** Returns the rows; those of a benchmark follow each other. */
  List<Row> rows() {
    return switch (this) {
      case SMOKE -> smoke();
      case QUICK -> quick();
      case ALL -> BENCHMARKS.stream().flatMap(b -> Row.of(b, "*").stream()).toList();
    };
  }

  private static List<Row> smoke() {
    return flat(
        List.of(
            Row.of(LinearBenchmark.class, "model=QWEN2_1_5B format=BF16,INT8 tokens=1"),
            Row.of(MoeBenchmark.class, "model=V2_LITE format=INT4"),
            Row.of(LatentAttentionBenchmark.class, "model=V2_LITE kv=BF16 context=4096"),
            Row.of(AttentionBenchmark.class, "kv=BF16 context=4096"),
            Row.of(TopKIndexBenchmark.class, "kv=BF16"),
            Row.of(RouteBenchmark.class, "model=V3"),
            Row.of(ElementwiseBenchmark.class, "model=V3 kernel=RMS_NORM"),
            Row.of(HostSamplerBenchmark.class, "model=V2_LITE choice=TOP_P")));
  }

  private static List<Row> quick() {
    String formats = "format=BF16,FP8_E4M3,INT8,INT4";
    return flat(
        List.of(
            Row.of(LinearBenchmark.class, "model=V2_LITE tokens=1,256 " + formats),
            Row.of(LinearBenchmark.class, "model=QWEN2_1_5B tokens=1 " + formats),
            Row.of(LinearBenchmark.class, "model=QWEN2_1_5B tokens=256 format=BF16,INT8"),
            Row.of(LinearBenchmark.class, "model=V3 tokens=1,8,256 format=FP8_E4M3"),
            Row.of(LogitsBenchmark.class, "model=V2_LITE,V3,QWEN2_1_5B format=BF16"),
            Row.of(MoeBenchmark.class, "model=V2_LITE tokens=1,256 " + formats),
            Row.of(MoeBenchmark.class, "model=V3 tokens=1,256 format=FP8_E4M3"),
            Row.of(
                LatentAttentionBenchmark.class, "model=V2_LITE context=4096 kv=F32,BF16,FP8_E4M3"),
            Row.of(LatentAttentionBenchmark.class, "model=V3 context=4096 kv=BF16"),
            Row.of(
                LatentAttentionBenchmark.class, "model=V2_LITE,V3 context=256 kv=F32 tokens=256"),
            Row.of(AttentionBenchmark.class, "context=4096 kv=F32,BF16"),
            Row.of(AttentionBenchmark.class, "context=256 kv=F32 tokens=256"),
            Row.of(TopKIndexBenchmark.class, "kv=F32"),
            Row.of(RouteBenchmark.class, "model=V2_LITE,V3"),
            Row.of(
                ElementwiseBenchmark.class, "model=V3 kernel=RMS_NORM,ROPE,SWI_GLU,ADD tokens=1"),
            Row.of(LogSumExpBenchmark.class, "model=QWEN2_1_5B"),
            Row.of(HostSamplerBenchmark.class, "model=QWEN2_1_5B choice=GREEDY,TOP_P")));
  }

  private static List<Row> flat(List<List<Row>> parts) {
    return parts.stream().flatMap(List::stream).toList();
  }
}
