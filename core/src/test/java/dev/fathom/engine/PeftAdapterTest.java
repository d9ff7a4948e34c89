package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import dev.fathom.backend.Adapter;
import dev.fathom.checkpoint.PeftCheckpoint;
import dev.fathom.checkpoint.PeftConfig;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.FathomException;
import dev.fathom.error.ModelConfigException;
import dev.fathom.golden.PeftFolder;
import dev.fathom.program.Linears;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Reading of PEFT folders: scales, names, and everything that is refused. */
class PeftAdapterTest {

  private static final String PLAIN = "\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":6";
  private static final String Q = "base_model.model.model.layers.0.self_attn.q_proj";

  @TempDir Path folder;

  /** A tied model with one linear of [5, 3]. */
  private static Linears linears() {
    ProgramBuilder g = new ProgramBuilder("one");
    WeightRef table = ref("model.embed_tokens.weight", 7, 3);
    Value h = g.embed(g.tokens(), table);
    g.output("q", g.linear(h, ref("model.layers.0.self_attn.q_proj.weight", 5, 3)));
    g.output(Program.LOGITS, g.logits(h, table));
    return new Linears(g.build());
  }

  private static WeightRef ref(String name, int rows, int cols) {
    return new WeightRef(name, List.of(rows, cols), WeightFormat.F32);
  }

  private static PeftConfig config(String entries) {
    return PeftConfig.parse(("{" + entries + "}").getBytes(StandardCharsets.UTF_8));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "`` | 2 | 3",
        "`,\"use_rslora\":true` | 4 | 3",
        "`,\"use_rslora\":true` | 9 | 2",
        "`,\"alpha_pattern\":{\"q_proj\":8}` | 2 | 4",
        "`,\"alpha_pattern\":{\"k_proj\":8}` | 2 | 3",
        "`,\"alpha_pattern\":{\"proj\":8}` | 2 | 3",
        "`,\"alpha_pattern\":{\"layers.0.self_attn.q_proj\":10}` | 2 | 5",
        "`,\"alpha_pattern\":{\"^model.layers.0.self_attn.q_proj\":10}` | 2 | 5",
        "`,\"alpha_pattern\":{\"^layers.0.self_attn.q_proj\":10}` | 2 | 3",
        "`,\"alpha_pattern\":{\"self_attn\\\\.q_proj$\":10}` | 2 | 5",
        "`,\"alpha_pattern\":{\"self_attn.q_proj\":10,\"q_proj\":20}` | 2 | 5",
        "`,\"alpha_pattern\":{},\"bias\":\"none\",\"fan_in_fan_out\":true` | 3 | 2",
        "`,\"modules_to_save\":null,\"layer_replication\":null,\"use_dora\":false` | 2 | 3",
        "`,\"target_modules\":\"all-linear\",\"init_lora_weights\":true` | 2 | 3",
        "`,\"target_modules\":[\"q_proj\"],\"init_lora_weights\":\"gaussian\"` | 2 | 3",
        "`,\"modules_to_save\":[],\"target_parameters\":null,\"lora_bias\":false` | 2 | 3",
      })
  void theScaleIsAlphaByRankOrBySqrtOfRank(String entries, int rank, float scale) {
    PeftConfig config = config(PLAIN + (entries == null ? "" : entries));
    assertThat(config.scaleOf("model.layers.0.self_attn.q_proj", rank))
        .isCloseTo(scale, offset(1e-6f));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "`\"peft_type\":\"IA3\"` | must be LORA: peft_type=\"IA3\"",
        "`\"peft_type\":\"LORA\",\"bias\":\"all\"` | must be none: bias=\"all\"",
        "`\"peft_type\":\"LORA\",\"use_dora\":true` | use_dora=true",
        "`\"peft_type\":\"LORA\",\"lora_bias\":true` | lora_bias=true",
        "`\"peft_type\":\"LORA\",\"use_qalora\":true` | use_qalora=true",
        "`\"peft_type\":\"LORA\",\"modules_to_save\":[\"lm_head\"]` | modules_to_save is set",
        "`\"peft_type\":\"LORA\",\"target_parameters\":[\"x\"]` | target_parameters is set",
        "`\"peft_type\":\"LORA\",\"layer_replication\":[[0,4]]` | layer_replication is set",
        "`\"peft_type\":\"LORA\",\"trainable_token_indices\":[1]` | trainable_token_indices is set",
        "`\"peft_type\":\"LORA\",\"init_lora_weights\":\"pissa_niter_4\"` | were changed",
        "`\"peft_type\":\"LORA\",\"init_lora_weights\":\"loftq\"` | init_lora_weights=\"loftq\"",
        "`\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":1,\"alpha_pattern\":{\"l.*q\":1}` | regular",
      })
  void whatIsNotImplementedIsRefusedByName(String entries, String why) {
    assertThatThrownBy(() -> config(entries))
        .isInstanceOfSatisfying(
            ModelConfigException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.ADAPTER_UNSUPPORTED))
        .hasMessageContaining(why);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "`\"r\":2` | peft_type",
        "`\"peft_type\":\"LORA\",\"lora_alpha\":2` | r",
        "`\"peft_type\":\"LORA\",\"r\":0,\"lora_alpha\":2` | r=0",
        "`\"peft_type\":\"LORA\",\"r\":2` | lora_alpha",
        "`\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":1,\"rank_pattern\":{\"q\":0}` | q=0",
        "`\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":1,\"use_dora\":\"no\"` | use_dora",
      })
  void aMissingOrWrongValueIsNamed(String entries, String why) {
    assertThatThrownBy(() -> config(entries))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining(why);
  }

  private Adapter read(String config, Map<TensorSpec, byte[]> tensors) {
    PeftFolder.config(folder, config);
    PeftFolder.write(folder, tensors);
    return new PeftAdapter(PeftCheckpoint.open(folder), linears()).read("x");
  }

  private static Map<TensorSpec, byte[]> pair(String a, String b, int rank, int in, int out) {
    Map<TensorSpec, byte[]> tensors = new LinkedHashMap<>();
    put(tensors, a, rank, in);
    put(tensors, b, out, rank);
    return tensors;
  }

  private static void put(Map<TensorSpec, byte[]> tensors, String name, int rows, int cols) {
    float[] values = new float[rows * cols];
    for (int i = 0; i < values.length; i++) {
      values[i] = i + 1;
    }
    tensors.put(
        TensorSpec.of(name, SafetensorsDtype.F16, rows, cols),
        PeftFolder.bytes(values, SafetensorsDtype.F16));
  }

  @Test
  void namesMayLackThePrefixAndHaveTheAdaptersName() {
    for (String form :
        List.of("%s.lora_A.weight", "%s.lora_A.default.weight", "%s.lora_A.x1.weight")) {
      for (String module : List.of(Q, "model.layers.0.self_attn.q_proj")) {
        String a = form.replace("%s", module);
        Adapter adapter = read(PLAIN, pair(a, a.replace("_A", "_B"), 2, 3, 5));
        Adapter.Delta delta = adapter.deltas().get("model.layers.0.self_attn.q_proj");
        assertThat(delta.a()).containsExactly(1, 2, 3, 4, 5, 6);
        assertThat(delta.b()).hasSize(10);
        assertThat(delta.scale()).isEqualTo(3);
        assertThat(adapter.bytes()).isEqualTo(64);
      }
    }
  }

  @Test
  void theHeadOfATiedModelIsAdaptedByTheNameOfTheHead() {
    String head = "base_model.model.lm_head.lora_A.weight";
    Adapter adapter = read(PLAIN, pair(head, head.replace("_A", "_B"), 2, 3, 7));
    assertThat(adapter.deltas()).containsOnlyKeys("model.embed_tokens");
  }

  @Test
  void aRankPatternSaysWhichRankTensorsMustHave() {
    String a = Q + ".lora_A.weight";
    String b = Q + ".lora_B.weight";
    Adapter adapter = read(PLAIN + ",\"rank_pattern\":{\"q_proj\":3}", pair(a, b, 3, 3, 5));
    Adapter.Delta delta = adapter.deltas().get("model.layers.0.self_attn.q_proj");
    assertThat(delta.rank()).isEqualTo(3);
    assertThat(delta.scale()).isEqualTo(2);
    String regex = PLAIN + ",\"rank_pattern\":{\".*q_proj\":3}";
    assertThat(read(regex, pair(a, b, 3, 3, 5)).bytes()).isEqualTo(96);
    invalid(PLAIN, pair(a, b, 3, 3, 5), "expected rank 2 as in adapter_config.json");
  }

  @Test
  void tensorsThatDoNotFitTheModelAreRefused() {
    String a = Q + ".lora_A.weight";
    String b = Q + ".lora_B.weight";
    invalid(PLAIN, pair(a, b, 2, 4, 5), "expected [2, 3], got");
    invalid(PLAIN, pair(a, b, 2, 3, 6), "expected [5, 2], got");
    Map<TensorSpec, byte[]> half = new LinkedHashMap<>();
    put(half, a, 2, 3);
    invalid(PLAIN, half, "only one of lora_A and lora_B is there for");
    String other = a.replace("q_proj", "x_proj");
    invalid(
        PLAIN,
        pair(other, other.replace("_A", "_B"), 2, 3, 5),
        "the model has no linear \"model.layers.0.self_attn.x_proj\"");
    Map<TensorSpec, byte[]> twice = pair(a, b, 2, 3, 5);
    put(twice, Q + ".lora_A.default.weight", 2, 3);
    invalid(PLAIN, twice, "two tensors are the same factor");
    invalid(PLAIN, Map.of(), "it has no tensors");
  }

  @Test
  void valuesThatAreNotFiniteAreRefused() {
    Map<TensorSpec, byte[]> tensors = pair(Q + ".lora_A.weight", Q + ".lora_B.weight", 2, 3, 5);
    byte[] bytes = tensors.values().iterator().next();
    bytes[1] = 0x7c;
    bytes[0] = 0;
    invalid(PLAIN, tensors, "a value is not finite in");
  }

  @Test
  void aTensorOfAnotherKindOrTypeIsRefused() {
    for (String name :
        List.of(
            "base_model.model.model.embed_tokens.lora_embedding_A",
            Q + ".lora_magnitude_vector.default.weight",
            "base_model.model.lm_head.weight",
            Q + ".lora_B.bias")) {
      Map<TensorSpec, byte[]> tensors = pair(Q + ".lora_A.weight", Q + ".lora_B.weight", 2, 3, 5);
      put(tensors, name, 5, 3);
      refused(PLAIN, tensors, ErrorCode.ADAPTER_UNSUPPORTED, "neither lora_A nor lora_B");
    }
    Map<TensorSpec, byte[]> bytes = new LinkedHashMap<>();
    bytes.put(TensorSpec.of(Q + ".lora_A.weight", SafetensorsDtype.I8, 2, 3), new byte[6]);
    bytes.put(TensorSpec.of(Q + ".lora_B.weight", SafetensorsDtype.I8, 5, 2), new byte[10]);
    invalid(PLAIN, bytes, "expected F32, F16 or BF16, got");
  }

  @Test
  void aPickledOrMissingFileIsRefused() throws IOException {
    assertThatThrownBy(() -> PeftCheckpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("there is no adapter_config.json in it");
    PeftFolder.config(folder, PLAIN);
    assertThatThrownBy(() -> PeftCheckpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("adapter_model.safetensors");
    Files.write(folder.resolve("adapter_model.bin"), new byte[3]);
    assertThatThrownBy(() -> PeftCheckpoint.open(folder))
        .isInstanceOfSatisfying(
            CheckpointException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.CHECKPOINT_PICKLED));
  }

  private void invalid(String config, Map<TensorSpec, byte[]> tensors, String why) {
    refused(config, tensors, ErrorCode.ADAPTER_INVALID, why);
  }

  private void refused(String config, Map<TensorSpec, byte[]> tensors, ErrorCode code, String why) {
    assertThatThrownBy(() -> read(config, tensors))
        .isInstanceOfSatisfying(FathomException.class, e -> assertThat(e.code()).isEqualTo(code))
        .hasMessageContaining(why);
  }
}
