package dev.fathom.examples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What new users do wrong first: each mistake has its own answer, and none a stack trace. */
class FirstUseTest {

  private static final String LAST_SHARD = "model-00002-of-00002.safetensors";

  @TempDir Path folder;

  private Path copyOfSample() throws IOException {
    for (String name :
        List.of(
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "model.safetensors.index.json",
            "model-00001-of-00002.safetensors",
            LAST_SHARD)) {
      Files.copy(Cli.SAMPLE.resolve(name), folder.resolve(name));
    }
    return folder;
  }

  private static void assertRefused(Path model, String... parts) {
    Cli run = Cli.run("chat", "--model", model.toString(), "hi");

    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err())
        .startsWith("error: ")
        .contains("\n  why: ", "\n  fix: ")
        .contains(parts)
        .doesNotContain("at dev.fathom", "Exception");
  }

  @Test
  void aPathThatDoesNotExist() {
    assertRefused(folder.resolve("none"), "FATHOM-1000", "none");
  }

  @Test
  void aPathThatIsAFile() throws IOException {
    Path file = Files.writeString(folder.resolve("model.safetensors"), "x");

    assertRefused(file, "FATHOM-1001", "it is a file", folder.toString());
  }

  @Test
  void anEmptyFolder() {
    assertRefused(folder, "FATHOM-1002", "the folder is empty", "download");
  }

  @Test
  void aFolderOfGitLfsPointers() throws IOException {
    copyOfSample();
    for (String shard : List.of("model-00001-of-00002.safetensors", LAST_SHARD)) {
      Files.writeString(
          folder.resolve(shard),
          "version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 8323044\n",
          StandardCharsets.US_ASCII);
    }

    assertRefused(folder, "FATHOM-1006", "Git LFS pointer", "git lfs pull");
  }

  @Test
  void aMissingShard() throws IOException {
    Files.delete(copyOfSample().resolve(LAST_SHARD));

    assertRefused(folder, "FATHOM-1202", "1 of 2 shards", LAST_SHARD, "download the missing");
  }

  @Test
  void aTruncatedShard() throws IOException {
    Path shard = copyOfSample().resolve(LAST_SHARD);
    try (RandomAccessFile file = new RandomAccessFile(shard.toFile(), "rw")) {
      file.setLength(file.length() - 1000);
    }

    assertRefused(folder, "FATHOM-1112", LAST_SHARD, "1000");
  }

  @Test
  void aFolderOfPickledWeightsOnly() throws IOException {
    Files.writeString(folder.resolve("config.json"), "{}");
    Files.writeString(folder.resolve("pytorch_model.bin"), "PK");

    assertRefused(folder, "FATHOM-1004", "pytorch_model.bin", "safe_serialization");
  }

  @Test
  void aGgufFile() throws IOException {
    Files.writeString(folder.resolve("model.gguf"), "GGUF");

    assertRefused(folder, "FATHOM-1005", "GGUF", "safetensors");
  }

  @Test
  void anUnknownModelTypeIsAnsweredWithTheKnownOnes() throws IOException {
    Path config = copyOfSample().resolve("config.json");
    String text = Files.readString(config);
    Files.writeString(config, text.replace("deepseek_v3", "gpt_neox"));

    assertRefused(folder, "FATHOM-2000", "\"gpt_neox\"", "deepseek_v2", "deepseek_v3");
  }

  @Test
  void aFolderWithoutConfig() throws IOException {
    Files.delete(copyOfSample().resolve("config.json"));

    assertRefused(folder, "FATHOM-1009", "config.json");
  }

  @Test
  void aFolderWithoutTokenizer() throws IOException {
    Files.delete(copyOfSample().resolve("tokenizer.json"));

    assertRefused(folder, "FATHOM-3", "tokenizer.json", "download it");
  }

  @Test
  void aConversationWithAModelThatHasNone() throws IOException {
    Path file = copyOfSample().resolve("tokenizer_config.json");
    Files.writeString(file, Files.readString(file).replace("\"chat_template\"", "\"other\""));

    assertRefused(folder, "FATHOM-3003", "no chat template", "--prompt-format");
  }

  @Test
  void aKeyOfAFileKeepsItsNameThoughAnOptionHasIt() throws IOException {
    Path file = copyOfSample().resolve("generation_config.json");
    Files.writeString(file, Files.readString(file).replace("0.6", "\"hot\""));

    assertRefused(folder, "FATHOM-2012", file.toString(), ": temperature=\"hot\"");
  }

  @Test
  void aJvmWithoutAnyFlagWorksAndIsToldOnceHowToBeFaster()
      throws IOException, InterruptedException {
    Path err = folder.resolve("err");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                "dev.fathom.examples.Fathom",
                "chat",
                "--no-thinking",
                "What is the capital of Norway?")
            .redirectError(err.toFile())
            .start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(process.waitFor()).isZero();
    assertThat(out).isEqualTo("The capital of Norway is Oslo.\n");
    assertThat(Files.readString(err))
        .containsOnlyOnce("the Vector API is not loaded")
        .containsOnlyOnce("--add-modules=jdk.incubator.vector")
        .doesNotContain("slow backend");
  }

  @Test
  void aJvmWithoutTheVectorApiIsToldTheCommandThatItWasStartedWith() {
    assertThat(SlowBackend.advice("", false, "target/fathom.jar chat hi"))
        .contains("several times slower", "fix: ", "./fathom")
        .endsWith(
            "java --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED"
                + " -jar target/fathom.jar ...");
    assertThat(SlowBackend.advice("", false, "dev.fathom.examples.Fathom"))
        .endsWith("-cp ... dev.fathom.examples.Fathom ...");
    assertThat(SlowBackend.advice("cpu: broken", true, "x")).contains("cpu: broken");
  }
}
