package dev.fathom.jmh;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import org.openjdk.jmh.annotations.Param;

/** Grouped-query attention over a paged cache. */
public class AttentionBenchmark extends CacheBenchmark {

  /** Whose shapes. */
  @Param({"QWEN2_1_5B"})
  public ModelShape model = ModelShape.QWEN2_1_5B;

  /** Tokens of a sequence, those of the step included. */
  @Param({"256", "4096"})
  public int context = 4096;

  @Override
  int contextTokens() {
    return context;
  }

  @Override
  KvSpec.Full cache(int layer) {
    return new KvSpec.Full(layer, model.grouped().numKvHeads(), model.grouped().headDim());
  }

  @Override
  double layerFlops() {
    ModelShape.Grouped c = model.grouped();
    return 4.0 * c.numHeads() * c.headDim() * sequences().attended();
  }

  @Override
  Program program() {
    ModelShape.Grouped c = model.grouped();
    ProgramBuilder g = new ProgramBuilder("attention");
    Value row = KernelSteps.input(g, g.tokens(), c.numHeads() * c.headDim());
    Value query = g.reshape(row, c.numHeads(), c.headDim());
    Value keysAndValues = g.slice(row, 0, cache(0).elementsPerToken());
    for (int i = 0; i < numLayers(); i++) {
      g.storeKv(cache(i), keysAndValues);
      g.attention(query, cache(i), 1 / Math.sqrt(c.headDim()));
    }
    return KernelSteps.end(g, row);
  }
}
