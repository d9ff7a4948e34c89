package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.backend.contract.Capacities;
import dev.fathom.backend.contract.Rig;
import dev.fathom.backend.contract.Rig.Seq;
import dev.fathom.backend.reference.ReferenceProvider;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.json.Json;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonWriter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Configurations as they occur beside those of the goldens: what must not differ does not. */
class ConfigVariantsTest {

  private static final String V3 = "goldens/v3";
  private static final String V4 = "goldens/v4";
  private static final String LLAMA = "goldens/llama3_rope";

  private static float[] logits(TestModel model) {
    int[] tokens = IntStream.range(0, 20).map(i -> (i * 37 + 11) % 97).toArray();
    Capacities capacities = new Capacities().blocks(4, 8, 8);
    try (Rig rig = new Rig(new ReferenceProvider(), model.program(), model, capacities)) {
      return rig.run(Seq.all(rig.blocksFor(20), 0, tokens)).logits();
    }
  }

  private static float[] logits(String folder, UnaryOperator<String> config) {
    return logits(TestModel.variant(folder, config, Map.of()));
  }

  /** Sets keys to JSON text, or removes those that are set to nothing. */
  private static UnaryOperator<String> with(String... keysAndValues) {
    return text -> {
      List<String> entries = new ArrayList<>();
      JsonObject config = (JsonObject) Json.parse(text, JsonLimits.DEFAULT);
      Map<String, String> changed = new HashMap<>();
      for (int i = 0; i < keysAndValues.length; i += 2) {
        changed.put(keysAndValues[i], keysAndValues[i + 1]);
      }
      config
          .fields()
          .forEach((key, value) -> {
            if (!changed.containsKey(key)) {
              entries.add('"' + key + "\": " + JsonWriter.compact(value));
            }
          });
      changed.forEach((key, value) -> {
        if (!value.isEmpty()) {
          entries.add('"' + key + "\": " + value);
        }
      });
      return "{" + String.join(", ", entries) + "}";
    };
  }

  @Test
  void aTiedHeadIsTheEmbedding() {
    for (String[] names :
        new String[][] {
          {V3, "lm_head.weight", "model.embed_tokens.weight"},
          {V4, "head.weight", "embed.weight"},
          {LLAMA, "lm_head.weight", "model.embed_tokens.weight"}
        }) {
      float[] tied = logits(names[0], with("tie_word_embeddings", "true"));
      UnaryOperator<String> same = UnaryOperator.identity();
      float[] copied = logits(TestModel.variant(names[0], same, Map.of(names[1], names[2])));
      assertThat(tied).as(names[0]).isEqualTo(copied);
      assertThat(tied).isNotEqualTo(logits(names[0], same));
    }
  }

  @Test
  void ropeParametersMeanWhatRopeScalingAndRopeThetaMean() {
    String yarn =
        "\"factor\": 40, \"original_max_position_embeddings\": 64, \"beta_fast\": 32,"
            + " \"beta_slow\": 1, \"mscale\": 1.0, \"mscale_all_dim\": 1.0";
    float[] published = logits(V3, with("rope_theta", "20000.0"));
    for (String kind : List.of("rope_type", "type")) {
      String section = "{\"" + kind + "\": \"yarn\", \"rope_theta\": 20000.0, " + yarn + "}";
      float[] got =
          logits(V3, with("rope_scaling", "", "rope_theta", "", "rope_parameters", section));
      assertThat(got).as(kind).isEqualTo(published);
    }
    assertThat(published).isNotEqualTo(logits(V3, UnaryOperator.identity()));
    float[] plain = logits(V3, with("rope_scaling", "null"));
    String none = "{\"rope_type\": \"default\", \"rope_theta\": 10000.0}";
    assertThat(logits(V3, with("rope_scaling", "", "rope_theta", "", "rope_parameters", none)))
        .isEqualTo(plain);
    assertThat(plain).isNotEqualTo(published);
  }

  @Test
  void keysAtTheirDefaultMayBeMissing() {
    float[] want = logits(V3, UnaryOperator.identity());
    assertThat(
            logits(
                V3,
                with(
                    "scoring_func", "",
                    "topk_method", "",
                    "moe_layer_freq", "",
                    "hidden_act", "",
                    "attention_bias", "",
                    "tie_word_embeddings", "",
                    "num_nextn_predict_layers", "",
                    "norm_topk_prob", "null",
                    "num_key_value_heads", "")))
        .isEqualTo(want);
    float[] v4 = logits(V4, UnaryOperator.identity());
    assertThat(
            logits(
                V4,
                with(
                    "scoring_func", "", "topk_method", "", "norm_topk_prob", "", "hidden_act", "")))
        .isEqualTo(v4);
  }

  @Test
  void aModelOfDenseLayersNeedsNoKeysOfExperts() {
    TestModel all = TestModel.variant(V3, with("first_k_dense_replace", "3"), denseLayers());
    TestModel none =
        TestModel.variant(
            V3,
            with(
                "n_routed_experts", "null",
                "n_shared_experts", "null",
                "num_experts_per_tok", "null",
                "moe_intermediate_size", "",
                "n_group", "null",
                "topk_group", "null"),
            denseLayers());
    assertThat(logits(none)).isEqualTo(logits(all));
    assertThat(none.program().toString()).doesNotContain("route(");
  }

  private static Map<String, String> denseLayers() {
    Map<String, String> aliases = new HashMap<>();
    for (String part : List.of("gate_proj", "up_proj", "down_proj")) {
      for (int layer = 1; layer < 3; layer++) {
        aliases.put(
            "model.layers." + layer + ".mlp." + part + ".weight",
            "model.layers.0.mlp." + part + ".weight");
      }
    }
    return aliases;
  }

  @Test
  void v2WithoutLatentAttentionIsPlainAttentionWithTheRouterOfV2() {
    String[] experts = {
      "n_routed_experts", "97",
      "num_experts_per_tok", "2",
      "moe_intermediate_size", width(),
      "first_k_dense_replace", "1",
      "n_shared_experts", "null"
    };
    UnaryOperator<String> v1 = with("model_type", "\"deepseek\"").andThen(with(experts))::apply;
    UnaryOperator<String> v2 =
        with(
                    "model_type", "\"deepseek_v2\"",
                    "use_mla", "false",
                    "kv_lora_rank", "null",
                    "q_lora_rank", "null",
                    "qk_nope_head_dim", "0",
                    "qk_rope_head_dim", "0",
                    "v_head_dim", "0",
                    "head_dim", "2")
                .andThen(with(experts))
            ::apply;
    float[] want = logits(TestModel.variant(LLAMA, v1, expertsOfDenseLayers()));
    assertThat(logits(TestModel.variant(LLAMA, v2, expertsOfDenseLayers()))).isEqualTo(want);
    UnaryOperator<String> scaled = v2.andThen(with("routed_scaling_factor", "3.0"))::apply;
    assertThat(logits(TestModel.variant(LLAMA, scaled, expertsOfDenseLayers()))).isNotEqualTo(want);
  }

  private static String width() {
    return String.valueOf(
        TestModel.ofResource(LLAMA).program().weights().stream()
            .filter(w -> w.name().equals("model.layers.1.mlp.gate_proj.weight"))
            .findFirst()
            .orElseThrow()
            .rows());
  }

  /** As many experts as tokens, with the weights of dense layers; the embedding is the router. */
  private static Map<String, String> expertsOfDenseLayers() {
    Map<String, String> aliases = new HashMap<>();
    for (int layer = 1; layer < 2; layer++) {
      String mlp = "model.layers." + layer + ".mlp.";
      for (int e = 0; e < 97; e++) {
        for (String part : List.of("gate_proj", "up_proj", "down_proj")) {
          String name = part + ".weight";
          aliases.put(mlp + "experts." + e + "." + name, "model.layers." + e % 2 + ".mlp." + name);
        }
      }
      aliases.put(mlp + "gate.weight", "model.embed_tokens.weight");
    }
    return aliases;
  }

  @ParameterizedTest
  @CsvSource({
    "goldens/llama3_rope, mlp_bias, true",
    "goldens/qwen3_yarn, attention_bias, true",
    "goldens/qwen2, use_sliding_window, true",
    "goldens/qwen2, layer_types, '[\"full_attention\", \"sliding_attention\"]'",
    "goldens/v3, scoring_func, '\"softmax\"'",
    "goldens/v3, topk_method, '\"greedy\"'",
    "goldens/v2, scoring_func, '\"sigmoid\"'",
    "goldens/v3, hidden_act, '\"gelu\"'",
    "goldens/v3, n_group, 3",
    "goldens/v32, q_lora_rank, null",
    "goldens/v4, norm_topk_prob, false"
  })
  void whatWouldSilentlyBeWrongIsRefusedByTheNameOfItsKey(String folder, String key, String value) {
    assertThatThrownBy(() -> TestModel.variant(folder, with(key, value), Map.of()))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining(key + "=");
  }

  @ParameterizedTest
  @CsvSource({"deepseek_v41", "deepseek_v41_text"})
  void v41IsRefusedByNameAndSaysWhatIsMissing(String modelType) {
    assertThatThrownBy(
            () -> TestModel.variant(V4, with("model_type", '"' + modelType + '"'), Map.of()))
        .isInstanceOfSatisfying(
            ModelConfigException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.UNKNOWN_ARCHITECTURE))
        .hasMessageContaining("DeepSeek-V4.1")
        .hasMessageContaining("vision tower")
        .hasMessageContaining("engram")
        .hasMessageContaining("deepseek_v4");
  }

  @Test
  void modulesOfPredictionAreDescribedOnlyWhereTheyAreStored() {
    assertThat(TestModel.variant(V3, with("num_nextn_predict_layers", "1"), Map.of()).drafts())
        .isEmpty();
    assertThat(TestModel.variant(V4, with("num_nextn_predict_layers", "1"), Map.of()).drafts())
        .isEmpty();
  }
}
