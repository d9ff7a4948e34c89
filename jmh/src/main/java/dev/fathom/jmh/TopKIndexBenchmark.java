package dev.fathom.jmh;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import org.openjdk.jmh.annotations.Param;

/** The lightning indexer of V3.2 over a context longer than what it keeps. */
public class TopKIndexBenchmark extends CacheBenchmark {

  /** Whose shapes. */
  @Param({"V3"})
  public ModelShape model = ModelShape.V3;

  /** Tokens of a sequence, those of the step included. */
  @Param({"8192"})
  public int context = 8192;

  @Override
  int contextTokens() {
    return context;
  }

  @Override
  KvSpec.IndexerKeys cache(int layer) {
    return new KvSpec.IndexerKeys(layer, model.indexer().indexHeadDim());
  }

  @Override
  double layerFlops() {
    ModelShape.Indexer c = model.indexer();
    return 2.0 * c.indexNumHeads() * c.indexHeadDim() * sequences().attended();
  }

  @Override
  Program program() {
    ModelShape.Indexer c = model.indexer();
    ProgramBuilder g = new ProgramBuilder("topKIndex");
    Value row = KernelSteps.input(g, g.tokens(), c.indexNumHeads() * c.indexHeadDim());
    Value query = g.reshape(row, c.indexNumHeads(), c.indexHeadDim());
    Value headWeights = g.slice(row, 0, c.indexNumHeads());
    Value key = g.slice(row, 0, c.indexHeadDim());
    for (int i = 0; i < numLayers(); i++) {
      g.storeKv(cache(i), key);
      g.topKIndex(query, headWeights, cache(i), 1, c.indexTopK());
    }
    return KernelSteps.end(g, row);
  }
}
