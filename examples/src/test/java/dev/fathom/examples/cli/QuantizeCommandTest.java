package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.QuantizationConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class QuantizeCommandTest {

  @TempDir Path folder;
  private Path source;
  private Path target;

  @BeforeEach
  void writeASource() {
    source = folder.resolve("source");
    target = folder.resolve("target");
    Cli run =
        Cli.run("synth", "--config", "deepseek-v3-tiny", "--weights", "bf16", source.toString());
    assertThat(run.err()).isEmpty();
  }

  private Cli quantize(String... options) {
    return Cli.run(
        Stream.concat(
                Stream.of("quantize", source.toString(), target.toString()), Stream.of(options))
            .toArray(String[]::new));
  }

  private String method() {
    QuantizationConfig config = Checkpoint.open(target).config().quantization();
    return config == null ? "none" : config.method();
  }

  @Test
  void whatItWritesAnswers() {
    Cli run = quantize("--method", "int4", "--group", "32");

    assertThat(run.exitCode()).isZero();
    assertThat(run.out())
        .contains("wrote " + target + ": int4 group=32 zero-points (compressed-tensors), ")
        .contains(" linears quantized, 0 kept, 1 file, ");
    assertThat(method()).isEqualTo("compressed-tensors");
    Cli chat = Cli.run("chat", "--json", "--max-tokens", "3", "--model", target.toString(), "Hi");
    assertThat(chat.exitCode()).isZero();
    assertThat(Cli.text(chat.json("usage").get("completion_tokens"))).isEqualTo("3");
  }

  @Test
  void jsonHasTheNumbersOfTheRun() {
    Cli run =
        quantize(
            "--method", "int8", "--keep", "*.o_proj", "--keep", "*.kv_b_proj", "--head", "--json");

    assertThat(run.exitCode()).isZero();
    assertThat(Cli.text(run.json().get("recipe"))).contains("keep=[*.o_proj, *.kv_b_proj] head");
    int kept = Integer.parseInt(Cli.text(run.json().get("kept")));
    assertThat(kept).isPositive().isEven();
    assertThat(Checkpoint.open(target).tensor("model.layers.0.self_attn.o_proj.weight").toString())
        .contains("BF16");
    assertThat(Checkpoint.open(target).tensor("lm_head.weight_packed").toString()).contains("I32[");
  }

  @Test
  void awqCalibratesOnTheTextsOfAFile() throws IOException {
    Path texts = folder.resolve("texts.txt");
    Files.writeString(texts, "The capital of Norway is Oslo.\n\n\nWhat is 2 + 3?\nIt is 5.\n");

    Cli run = quantize("--method", "awq", "--group", "32", "--calibration", texts.toString());

    assertThat(run.exitCode()).isZero();
    assertThat(run.out()).contains("texts=2 given");
    assertThat(Cli.run("chat", "--max-tokens", "2", "--model", target.toString(), "Hi").exitCode())
        .isZero();
  }

  @Test
  void wrongOptionsAreNamedAndNothingIsWritten() {
    assertThat(quantize("--method", "int5").err())
        .contains("must be fp8, int8, int4 or awq: --method=\"int5\"");
    assertThat(quantize("--method", "int4", "--group", "48").err())
        .contains("must be one of 32, 64, 128: groupSize=48");
    assertThat(quantize("--method", "fp8", "--group", "128").err())
        .contains("must be left out, blocks are 128 x 128: --group=128");
    assertThat(quantize("--method", "int8", "--layout", "awq").err())
        .contains("must be AUTO or COMPRESSED_TENSORS for INT8: layout=AWQ");
    assertThat(quantize("--method", "awq", "--refine", "more").err())
        .contains("must be none, clipping or rounding: --refine=\"more\"");
    assertThat(quantize("--method", "awq", "--samples", "0").err())
        .contains("must be in [1, 65536]: samples=0");
    assertThat(quantize("--method", "awq", "--calibration", "/nowhere").err())
        .contains("The calibration texts \"/nowhere\" cannot be read");
    assertThat(quantize("--method", "int4", "--keep", "*").err())
        .contains("must leave at least one linear to quantize: keep=[*]");
    assertThat(target).doesNotExist();
  }

  @Test
  void foldersThatCannotBeUsedAreNamed() throws IOException {
    assertThat(Cli.run("quantize", "/nowhere", target.toString(), "--method", "int8").err())
        .contains("/nowhere");
    assertThat(Cli.run("quantize", source.toString(), source.toString(), "--method", "int8").err())
        .contains("it is the source itself");
    Files.createDirectories(target);
    Files.writeString(target.resolve("diary.txt"), "mine");
    Cli run = quantize("--method", "int8");
    assertThat(run.exitCode()).isNotZero();
    assertThat(run.err()).contains(target.toString());
    assertThat(target.resolve("diary.txt")).hasContent("mine");
    assertThat(quantize().err()).contains("--method");
  }

  @Test
  void aSecondQuantizationIsRefused() {
    assertThat(quantize("--method", "int8").exitCode()).isZero();
    Cli again =
        Cli.run(
            "quantize", target.toString(), folder.resolve("again").toString(), "--method", "int4");
    assertThat(again.exitCode()).isNotZero();
    assertThat(again.err())
        .contains("is not quantized again")
        .contains("start from the unquantized checkpoint");
  }
}
