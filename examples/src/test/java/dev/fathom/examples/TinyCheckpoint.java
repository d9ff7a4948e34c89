package dev.fathom.examples;

import dev.fathom.examples.synth.ShippedConfig;
import dev.fathom.examples.synth.SynthWeights;
import dev.fathom.examples.synth.SyntheticCheckpoint;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A DeepSeek-V3 of two layers and random weights: a token costs microseconds. */
final class TinyCheckpoint {

  private static final Path SAMPLE = Path.of("models", "sample");
  private static final String CONFIG =
      """
      {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
       "vocab_size": %d, "hidden_size": 32, "intermediate_size": 48,
       "moe_intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
       "num_key_value_heads": 2, "n_shared_experts": 1, "n_routed_experts": 4,
       "routed_scaling_factor": 2.5, "kv_lora_rank": 16, "q_lora_rank": 24,
       "qk_rope_head_dim": 8, "v_head_dim": 8, "qk_nope_head_dim": 8, "n_group": 2,
       "topk_group": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1,
       "moe_layer_freq": 1, "norm_topk_prob": true, "scoring_func": "sigmoid",
       "topk_method": "noaux_tc", "hidden_act": "silu", "max_position_embeddings": 512,
       "initializer_range": 0.2, "rms_norm_eps": 1e-06, "rope_theta": 10000,
       "num_nextn_predict_layers": 0, "attention_bias": false, "tie_word_embeddings": false,
       "bos_token_id": 0, "eos_token_id": 1, "torch_dtype": "bfloat16"}
      """;

  private TinyCheckpoint() {}

  /** Writes it with the sample's tokenizer, of which it uses the first tokens. */
  static Path write(Path folder, int vocabSize) {
    try {
      Path source = Files.createDirectories(folder.resolve("config")).resolve("config.json");
      Files.writeString(source, CONFIG.formatted(vocabSize));
      Path out = Files.createDirectories(folder.resolve("model"));
      ShippedConfig config = ShippedConfig.find(source.toString());
      new SyntheticCheckpoint(config, SynthWeights.BF16, 7, 1 << 20).write(out);
      for (String name : new String[] {"tokenizer.json", "tokenizer_config.json"}) {
        Files.copy(SAMPLE.resolve(name), out.resolve(name));
      }
      return out;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
