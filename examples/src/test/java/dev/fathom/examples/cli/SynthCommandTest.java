package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.QuantizationConfig;
import dev.fathom.examples.synth.ShippedConfig;
import dev.fathom.examples.synth.SynthWeights;
import dev.fathom.examples.synth.SyntheticCheckpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SynthCommandTest {

  private static final String TINY = "deepseek-v3-tiny";

  @TempDir Path folder;

  private Path write(String name, String... options) {
    Path out = folder.resolve(name);
    Cli run =
        Cli.run(
            Stream.concat(Stream.of("synth", "--config", TINY, out.toString()), Stream.of(options))
                .toArray(String[]::new));
    assertThat(run.err()).isEmpty();
    assertThat(run.exitCode()).isZero();
    return out;
  }

  @Test
  void theCheckpointLoadsAndAnswers() {
    Path out = write("fp8", "--weights", "fp8", "--shard-size", "1MB");

    Cli run = Cli.run("chat", "--json", "--max-tokens", "3", "--model", out.toString(), "Hello");
    assertThat(run.exitCode()).isZero();
    assertThat(Cli.text(run.json("usage").get("completion_tokens"))).isEqualTo("3");
  }

  @Test
  void fp8WeightsHaveScalesOfPartialBlocksAndAnIndex() {
    Checkpoint checkpoint =
        Checkpoint.open(write("fp8", "--weights", "fp8", "--shard-size", "1MB"));

    assertThat(checkpoint.files()).hasSizeGreaterThan(2);
    assertThat(checkpoint.tensor("model.layers.0.mlp.gate_proj.weight"))
        .hasToString("model.layers.0.mlp.gate_proj.weight F8_E4M3[416, 192]");
    assertThat(checkpoint.tensor("model.layers.0.mlp.gate_proj.weight_scale_inv"))
        .hasToString("model.layers.0.mlp.gate_proj.weight_scale_inv F32[4, 2]");
    assertThat(checkpoint.tensor("model.layers.1.mlp.gate.e_score_correction_bias"))
        .hasToString("model.layers.1.mlp.gate.e_score_correction_bias F32[8]");
    QuantizationConfig quantization = checkpoint.config().quantization();
    assertThat(quantization).isNotNull();
    assertThat(quantization.blockRows()).isEqualTo(128);
  }

  @Test
  void integerWeightsHaveScalesIncludeTheHeadAndLoad() {
    for (String format : List.of("int8", "int4")) {
      Path out = write(format, "--weights", format);
      Checkpoint checkpoint = Checkpoint.open(out);
      boolean bytes = format.equals("int8");
      String leaf = bytes ? "weight" : "weight_packed";
      assertThat(checkpoint.tensor("lm_head." + leaf))
          .hasToString("lm_head." + leaf + (bytes ? " I8[4096, 192]" : " I32[4096, 24]"));
      assertThat(checkpoint.tensor("model.layers.0.mlp.gate_proj.weight_scale"))
          .hasToString(
              "model.layers.0.mlp.gate_proj.weight_scale "
                  + (bytes ? "F32[416, 1]" : "F16[416, 6]"));
      Cli run = Cli.run("chat", "--json", "--max-tokens", "3", "--model", out.toString(), "Hello");
      assertThat(run.exitCode()).isZero();
    }
  }

  @Test
  void shippedConfigurationsAreOfSupportedArchitectures() {
    for (String name : ShippedConfig.NAMES) {
      for (SynthWeights weights : SynthWeights.values()) {
        ShippedConfig config = ShippedConfig.find(name);
        assertThat(new SyntheticCheckpoint(config, weights, 0, 5_000_000_000L).totalBytes())
            .isPositive();
      }
    }
    ShippedConfig slice = ShippedConfig.find("deepseek-v2-slice");
    long bytes = new SyntheticCheckpoint(slice, SynthWeights.BF16, 0, 5_000_000_000L).totalBytes();
    assertThat(bytes / 2e9).isBetween(3.4, 3.5);
  }

  @Test
  void bf16WeightsHaveNoScales() {
    Checkpoint checkpoint = Checkpoint.open(write("bf16"));

    assertThat(checkpoint.config().quantization()).isNull();
    assertThat(checkpoint.tensors().keySet()).noneMatch(name -> name.endsWith("_scale_inv"));
    assertThat(checkpoint.files()).hasSize(1);
  }

  @Test
  void theSameSeedGivesTheSameBytesAndAnotherSeedOthers() throws IOException {
    Path first = write("a", "--seed", "7").resolve("model.safetensors");
    Path again = write("b", "--seed", "7").resolve("model.safetensors");
    Path other = write("c", "--seed", "8").resolve("model.safetensors");

    assertThat(Files.mismatch(first, again)).isEqualTo(-1);
    assertThat(Files.mismatch(first, other)).isPositive();
  }

  @Test
  void aConfigurationFileIsReadAndItsPredictionLayersAreLeftOut() throws IOException {
    Path config = folder.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(Cli.SAMPLE.resolve("config.json"))
            .replace("\"num_hidden_layers\": 6", "\"num_hidden_layers\": 2"));
    Path out = folder.resolve("own");

    Cli run = Cli.run("synth", "--config", config.toString(), "--json", out.toString());

    assertThat(run.exitCode()).isZero();
    assertThat(Cli.text(run.json().get("tokenizer"))).isEqualTo("false");
    Checkpoint checkpoint = Checkpoint.open(out);
    assertThat(checkpoint.config().intAt("num_nextn_predict_layers", 0, 9)).isZero();
    assertThat(checkpoint.config().quantization()).isNull();
    assertThat(checkpoint.tensors().keySet()).noneMatch(name -> name.contains("layers.2."));
  }

  @Test
  void wrongOptionsAreRefused() throws IOException {
    Path used = Files.createDirectories(folder.resolve("used"));
    Files.writeString(used.resolve("x"), "");

    assertRefused("is neither", "synth", "--config", "no-such", folder.resolve("o").toString());
    assertRefused(
        "must be bf16, fp8, int8 or int4", "synth", "--config", TINY, "--weights", "int3", "o");
    assertRefused("must be a number above 0", "synth", "--config", TINY, "--shard-size", "0", "o");
    assertRefused("--shard-size", "synth", "--config", TINY, "--shard-size", "5XB", "o");
    assertRefused("is not empty", "synth", "--config", TINY, used.toString());
    assertRefused("it is a file", "synth", "--config", TINY, used.resolve("x").toString());
    assertRefused("--config", "synth", "o");
    assertRefused("OUT", "synth", "--config", TINY);
  }

  @Test
  void anUnknownArchitectureIsAnsweredWithTheKnownOnes() throws IOException {
    Path config = Files.writeString(folder.resolve("c.json"), "{\"model_type\": \"gpt2\"}");

    assertRefused("deepseek_v3", "synth", "--config", config.toString(), "o");
  }

  private static void assertRefused(String part, String... args) {
    Cli run = Cli.run(args);
    assertThat(run.exitCode()).as(List.of(args).toString()).isEqualTo(2);
    assertThat(run.err()).contains(part, "  fix: ").doesNotContain("at dev.fathom");
  }
}
