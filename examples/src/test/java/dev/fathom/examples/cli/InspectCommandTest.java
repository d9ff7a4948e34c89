package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.json.JsonArray;
import org.junit.jupiter.api.Test;

class InspectCommandTest {

  @Test
  void configurationTensorsProgramAndMemoryAreSummed() {
    Cli run = Cli.run("inspect");

    assertThat(run.exitCode()).isZero();
    assertThat(run.out())
        .contains(
            "config.json\n",
            "  kv_lora_rank              64\n",
            "  F8_E4M3     344  11.5 MiB\n",
            "  in 2 files  735  15.8 MiB\n",
            "program deepseek_v3\n",
            "  latentAttention    6\n",
            "This model needs ");
  }

  @Test
  void everyTensorIsListedOnRequest() {
    Cli run = Cli.run("inspect", "--tensors");

    assertThat(run.out()).contains("  model.norm.weight", "[256]", "model-00001-of-00002");
    assertThat(run.out().lines().filter(line -> line.contains(".safetensors"))).hasSize(735);
  }

  @Test
  void theProgramIsPrintedOnRequest() {
    assertThat(Cli.run("inspect", "--program").out())
        .contains("program deepseek_v3\n", "= embed(", "latentAttention(", "output logits");
  }

  @Test
  void jsonIsOneDocument() {
    Cli run = Cli.run("inspect", "--json", "--tensors", "--program");

    assertThat(run.json().string("model_type")).isEqualTo("deepseek_v3");
    assertThat(Cli.text(run.json("config").get("hidden_size"))).isEqualTo("256");
    assertThat(Cli.text(run.json("tensors").get("count"))).isEqualTo("735");
    assertThat(run.json("tensors").get("list")).isInstanceOf(JsonArray.class);
    assertThat(run.json("program").get("lines")).isInstanceOf(JsonArray.class);
    assertThat(Cli.text(run.json("memory").get("fits"))).isEqualTo("true");
    assertThat(run.out()).hasLineCount(1);
  }

  @Test
  void aLargerContextNeedsMoreMemory() {
    String small = memory(Cli.run("inspect", "--json", "--context", "1024"));
    String large = memory(Cli.run("inspect", "--json", "--context", "4096"));

    assertThat(Long.parseLong(large)).isGreaterThan(Long.parseLong(small));
  }

  private static String memory(Cli run) {
    return Cli.text(run.json("memory").get("kv_cache_bytes"));
  }
}
