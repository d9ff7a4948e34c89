package dev.fathom.jmh;

import dev.fathom.kvcache.KvLayout;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.List;
import org.openjdk.jmh.annotations.Param;

/** Absorbed latent attention over a paged cache, kv_b in bfloat16. */
public class LatentAttentionBenchmark extends CacheBenchmark {

  /** Whose shapes. */
  @Param({"V2_LITE", "V3"})
  public ModelShape model = ModelShape.V2_LITE;

  /** Tokens of a sequence, those of the step included. */
  @Param({"256", "4096"})
  public int context = 4096;

  @Override
  int contextTokens() {
    return context;
  }

  @Override
  KvSpec.Latent cache(int layer) {
    ModelShape.Latent c = model.latent();
    return new KvSpec.Latent(layer, c.kvLoraRank(), c.qkRopeHeadDim());
  }

  private WeightRef kvB(int layer) {
    ModelShape.Latent c = model.latent();
    int rows = c.numHeads() * (c.qkNopeHeadDim() + c.vHeadDim());
    return new WeightRef("kv_b." + layer, List.of(rows, c.kvLoraRank()), WeightFormat.BF16);
  }

  @Override
  long layerBytes() {
    WeightRef kvB = kvB(0);
    long row = new KvLayout(cache(0), kv, 1).bytesPerToken();
    return kvB.format().bytes((long) kvB.rows() * kvB.cols()) + row * sequences().cached();
  }

  /** Of absorbing and releasing each token's heads, and of scores and sums over what they see. */
  @Override
  double layerFlops() {
    ModelShape.Latent c = model.latent();
    double heads = (double) tokens * kvB(0).rows() * c.kvLoraRank();
    double position = c.numHeads() * (2.0 * c.kvLoraRank() + c.qkRopeHeadDim());
    return 2 * (heads + position * sequences().attended());
  }

  @Override
  Program program() {
    ModelShape.Latent c = model.latent();
    int headDim = c.qkNopeHeadDim() + c.qkRopeHeadDim();
    ProgramBuilder g = new ProgramBuilder("latentAttention");
    Value row = KernelSteps.input(g, g.tokens(), c.numHeads() * headDim);
    Value query = g.reshape(row, c.numHeads(), headDim);
    Value latent = g.slice(row, 0, cache(0).elementsPerToken());
    for (int i = 0; i < numLayers(); i++) {
      g.storeKv(cache(i), latent);
      g.latentAttention(query, kvB(i), cache(i), c.qkNopeHeadDim(), 1 / Math.sqrt(headDim));
    }
    return KernelSteps.end(g, row);
  }
}
