package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.Program;

/**
 * DeepSeek-V3, R1 and V3.1 (arXiv 2412.19437): latent attention, leading dense layers, then a
 * mixture of experts behind a sigmoid gate without auxiliary loss.
 *
 * <p>The layers of multi-token prediction that follow the last one are not part of this program.
 */
public final class DeepSeekV3 implements Architecture {

  DeepSeekV3() {}

  @Override
  public String modelType() {
    return "deepseek_v3";
  }

  @Override
  public int maxContextTokens(ModelConfig config) {
    return LatentConfig.of(config).maxPositionEmbeddings();
  }

  @Override
  public Program program(ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    LatentConfig c = LatentConfig.of(config);
    return new LatentModel(
            modelType(), c, NoAuxTcGate.router(config, c.numExperts()), null, new Weights(catalog))
        .program();
  }
}
