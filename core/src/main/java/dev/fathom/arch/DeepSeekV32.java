package dev.fathom.arch;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.Program;
import java.util.List;

/**
 * DeepSeek-V3.2-Exp, V3.2 and V3.2-Speciale: V3 with sparse attention, in which a lightning indexer
 * chooses the positions that each token attends to.
 */
public final class DeepSeekV32 implements Architecture {

  DeepSeekV32() {}

  @Override
  public String modelType() {
    return "deepseek_v32";
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
    if (c.qLoraRank() == 0) {
      throw config.broken("q_lora_rank", "must be >= 1: the indexer reads the query's latent");
    }
    return new LatentModel(
        name,
        c,
        NoAuxTcGate.router(config, c.numExperts()),
        LightningIndexer.Config.of(config, c.qkRopeHeadDim()),
        w);
  }
}
