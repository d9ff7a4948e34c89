package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.Program;
import java.util.List;

/**
 * DeepSeek-V3, R1 and V3.1 (arXiv 2412.19437): latent attention, leading dense layers, then a
 * mixture of experts behind a sigmoid gate without auxiliary loss.
 *
 * <p>The layers of multi-token prediction that follow the last one are programs of their own.
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
    return model(modelType(), config, new Weights(catalog)).programWithState();
  }

  @Override
  public List<Program> mtpPrograms(
      ModelConfig config, TensorCatalog catalog, Compatibility compatibility) {
    int layers = LatentConfig.of(config).numHiddenLayers();
    Weights w = new Weights(catalog);
    return LatentModel.mtpPrograms(
        config, layers, w, part -> model(modelType() + "." + part, config, w));
  }

  private static LatentModel model(String name, ModelConfig config, Weights w) {
    LatentConfig c = LatentConfig.of(config);
    return new LatentModel(name, c, NoAuxTcGate.router(config, c.numExperts()), null, w);
  }
}
