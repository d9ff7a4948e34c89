package dev.fathom.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.error.FathomException;
import java.nio.file.Path;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Random damage to the small files: nothing but the library's own errors may come out. */
class DamagedTextsTest {
  private static final int NUM_MUTANTS = 15_000;

  @Test
  void aDamagedIndexIsReadOrRefused() {
    damage(
        "{\"metadata\":{\"total_size\":12},\"weight_map\":{\"x\":\"model-1.safetensors\","
            + "\"y\":\"model-2.safetensors\"}}",
        bytes -> ShardIndex.parse(Path.of("i"), bytes));
  }

  @Test
  void aDamagedConfigIsReadOrRefused() {
    damage(
        "{\"model_type\":\"deepseek_v3\",\"rope_theta\":10000,\"eos_token_id\":[1,2],"
            + "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":40,\"beta_fast\":32,"
            + "\"original_max_position_embeddings\":4096,\"mscale\":1.0},"
            + "\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]}}",
        bytes -> {
          ModelConfig config = ModelConfig.parse(bytes, "config.json");
          config.modelType();
          config.tokenIdsAt("eos_token_id");
          assertThat(config.ropeTheta(1)).isBetween(1.0, 1e12);
          if (config.ropeScaling() instanceof RopeScaling.Yarn yarn) {
            assertThat(yarn.factor()).isBetween(1.0, 1e6);
          }
          config.quantization();
        });
  }

  @Test
  void damagedDefaultsAreReadOrRefused() {
    damage(
        "{\"do_sample\":true,\"temperature\":0.6,\"top_p\":0.95,\"top_k\":50,"
            + "\"max_new_tokens\":2048,\"bos_token_id\":0,\"eos_token_id\":[1]}",
        bytes -> GenerationDefaults.of(ModelConfig.parse(bytes, "generation_config.json")));
  }

  @Test
  void aDamagedTokenizerConfigIsReadOrRefused() {
    damage(
        "{\"bos_token\":{\"content\":\"<b>\"},\"eos_token\":\"<e>\",\"add_bos_token\":true,"
            + "\"model_max_length\":1e30,\"chat_template\":[{\"name\":\"default\",\"template\":"
            + "\"{{x}}\"}]}",
        bytes -> TokenizerConfig.of(ModelConfig.parse(bytes, "tokenizer_config.json")));
  }

  @Test
  void damagedChecksumsAreReadOrRefused() {
    damage(
        "ab".repeat(32) + "  model.safetensors\n" + "cd".repeat(32) + " *config.json\n",
        bytes -> Checksums.parse(Path.of("checksums.sha256"), bytes));
  }

  private static void damage(String seed, Consumer<byte[]> reader) {
    Random random = new Random(11);
    byte[] intact = seed.getBytes(UTF_8);
    reader.accept(intact);
    int refused = 0;
    for (int i = 0; i < NUM_MUTANTS; i++) {
      byte[] mutant = intact.clone();
      for (int n = random.nextInt(3); n >= 0; n--) {
        mutant[random.nextInt(mutant.length)] =
            random.nextBoolean()
                ? (byte) random.nextInt(256)
                : intact[random.nextInt(intact.length)];
      }
      try {
        reader.accept(mutant);
      } catch (FathomException e) {
        refused++;
        assertThat(e.getMessage().length()).isLessThan(1500);
      }
    }
    assertThat(refused).as("of " + NUM_MUTANTS).isBetween(NUM_MUTANTS / 10, NUM_MUTANTS - 1);
  }
}
