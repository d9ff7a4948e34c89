package dev.fathom;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.TextException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints whose files contradict each other. */
class MisfitsTest {

  @TempDir Path folder;

  @BeforeEach
  void copy() throws IOException {
    try (Stream<Path> files = Files.list(Sample.FP8)) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
  }

  private void change(String file, String what, String by) throws IOException {
    String text = Files.readString(folder.resolve(file));
    assertThat(text).contains(what);
    Files.writeString(folder.resolve(file), text.replace(what, by));
  }

  private List<String> found() {
    OpenedModel model = OpenedModel.open(folder, LoadOptions.defaults());
    ModelText text =
        ModelText.of(
            model.checkpoint(), model.checkpoint().generationDefaults(), LoadOptions.defaults());
    return Misfits.find(model, text);
  }

  @Test
  void theSampleFits() {
    assertThat(found()).isEmpty();
  }

  @Test
  void layersThatTheConfigurationDoesNotDescribeAreTold() throws IOException {
    change("config.json", "\"num_hidden_layers\": 6", "\"num_hidden_layers\": 2");
    assertThat(found())
        .singleElement()
        .asString()
        .contains("num_hidden_layers=2", "first=\"model.layers.");
  }

  @Test
  void endTokensOutsideTheVocabularyAreTold() throws IOException {
    change("generation_config.json", "\"eos_token_id\": 1", "\"eos_token_id\": [1, 4096]");
    assertThat(found()).singleElement().asString().contains("ids=[4096]", "vocab_size=4096");
  }

  @Test
  void aModelThatNeverEndsIsTold() throws IOException {
    Files.delete(folder.resolve("generation_config.json"));
    change("config.json", "\"eos_token_id\": 1,", "");
    change("tokenizer_config.json", "\"eos_token\": ", "\"was_eos_token\": ");
    assertThat(found()).singleElement().asString().startsWith("no end token");
  }

  @Test
  void aConversationIsRefusedBeforeAnyWeightIsReadWhereOneIsRequired() throws IOException {
    change("tokenizer_config.json", "\"chat_template\"", "\"no_template\"");
    List<LoadPhase> phases = new ArrayList<>();
    assertThatThrownBy(() ->
            DeepSeekModel.builder(folder)
                .backend("reference")
                .requireChat(true)
                .onProgress(progress -> phases.add(progress.phase()))
                .load())
        .isInstanceOfSatisfying(
            TextException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.PROMPT_FAMILY_UNKNOWN));
    assertThat(phases).containsOnly(LoadPhase.OPEN);
    assertThat(LoadOptions.defaults().requireChat(true).threads(1).requireChat()).isTrue();
  }

  @Test
  void aPageOfAServerInPlaceOfAShardIsRecognised() throws IOException {
    Path shard = folder.resolve("model-00002-of-00002.safetensors");
    for (String page :
        new String[] {"<!DOCTYPE html>\n<html>", "Entry not found", "\n\n{\"error\""}) {
      Files.writeString(shard, page);
      assertThatThrownBy(() -> OpenedModel.open(folder, LoadOptions.defaults()))
          .isInstanceOfSatisfying(
              CheckpointException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.SAFETENSORS_IS_TEXT))
          .hasMessageContaining(shard.toString())
          .hasMessageContaining("download the file again");
    }
  }

  @Test
  void messagesAboutSmallFilesNameTheirFolder() throws IOException {
    change("config.json", "\"hidden_size\": 256", "\"hidden_size\": -1");
    assertThatThrownBy(() -> OpenedModel.open(folder, LoadOptions.defaults()))
        .isInstanceOf(ModelConfigException.class)
        .hasMessageContaining(folder.resolve("config.json").toString());
  }
}
