package dev.fathom.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.TextException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PromptEncodersTest {
  private static final String TURNS = "<｜User｜> <｜Assistant｜> <｜tool▁output▁begin｜>";

  @TempDir Path folder;

  @Test
  void theSampleAndV3AreRecognisedByTheirOwnTemplates() {
    Tokenizers.file(folder, "sample.tokenizer_config.json", "tokenizer_config.json");
    assertThat(PromptEncoders.forCheckpoint(folder, Tokenizers.sample()))
        .isInstanceOf(SamplePrompt.class);
    Tokenizers.file(folder, "deepseek-v3.tokenizer_config.json", "tokenizer_config.json");
    assertThat(PromptEncoders.forCheckpoint(folder, Tokenizers.v3()).family())
        .isEqualTo("deepseek-v3");
  }

  @ParameterizedTest
  @CsvSource({
    "'<｜tool▁outputs▁begin｜> ```json',deepseek-v3",
    "'<｜tool▁outputs▁begin｜> </think> <｜Assistant｜><think>\\n',deepseek-r1",
    "'<｜tool▁outputs▁begin｜> </think>',deepseek-r1-0528",
    "'</think> is_last_user',deepseek-v3.1",
    "'</think> ## Tools\\nYou have access to the following tools:\\n''',sample",
  })
  void familiesAreRecognisedByWhatTheirTemplatesSay(String features, String family) {
    Tokenizer tokenizer = family.equals("sample") ? Tokenizers.sample() : Tokenizers.r1();
    assertThat(PromptEncoders.forTemplate(TURNS + features, tokenizer).family()).isEqualTo(family);
  }

  @Test
  void aTemplateFileTakesPrecedenceOverTheConfiguration() throws IOException {
    Tokenizers.file(folder, "deepseek-v3.tokenizer_config.json", "tokenizer_config.json");
    Files.writeString(folder.resolve("chat_template.jinja"), TURNS + "</think> is_last_user");
    assertThat(PromptEncoders.forCheckpoint(folder, Tokenizers.r1()).family())
        .isEqualTo("deepseek-v3.1");
  }

  @Test
  void anUnknownTemplateIsRefusedWithTheListOfFamilies() {
    assertThatThrownBy(
            () -> PromptEncoders.forTemplate("{{ messages }}<|im_start|>", Tokenizers.v3()))
        .isInstanceOfSatisfying(
            TextException.class,
            e -> {
              assertThat(e.code()).isEqualTo(ErrorCode.PROMPT_FAMILY_UNKNOWN);
              assertThat(e.fix())
                  .contains("deepseek-v3.1")
                  .contains("deepseek-r1-0528")
                  .contains("sample");
            });
  }

  @Test
  void aFolderWithoutTemplateIsABaseModel() throws IOException {
    assertThatThrownBy(() -> PromptEncoders.forCheckpoint(folder, Tokenizers.v3()))
        .hasMessageStartingWith("FATHOM-3003")
        .hasMessageContaining("no chat template");
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"add_bos_token\": true}");
    assertThatThrownBy(() -> PromptEncoders.forCheckpoint(folder, Tokenizers.v3()))
        .hasMessageStartingWith("FATHOM-3003");
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"add_bos_token\": true");
    assertThatThrownBy(() -> PromptEncoders.forCheckpoint(folder, Tokenizers.v3()))
        .hasMessageStartingWith("FATHOM-3000");
  }

  @Test
  void anUnknownNameIsRefusedWithTheListOfFamilies() {
    assertThatThrownBy(() -> PromptEncoders.named("chatml\n", Tokenizers.v3()))
        .hasMessageStartingWith("FATHOM-3003 No prompt family is called \"chatml\\n\"")
        .hasMessageContaining("deepseek-v3, deepseek-v3-original");
  }

  @Test
  void everyNameOfTheListIsKnown() {
    for (String family : PromptEncoders.FAMILIES) {
      assertThat(PromptEncoders.named(family, Tokenizers.of(family)).family()).isEqualTo(family);
    }
  }

  @Test
  void checkpointsWithoutTemplateAreRecognisedByTheirModelType() {
    assertThat(
            PromptEncoders.forCheckpoint(folder, Tokenizers.r1(), "deepseek_v32", false).family())
        .isEqualTo("deepseek-v3.2");
    assertThat(PromptEncoders.forCheckpoint(folder, Tokenizers.v4(), "deepseek_v4", false).family())
        .isEqualTo("deepseek-v4");
    assertThat(PromptEncoders.forCheckpoint(folder, Tokenizers.v4(), "deepseek_v4", true).family())
        .isEqualTo("deepseek-v4-0731");
    assertThatThrownBy(
            () -> PromptEncoders.forCheckpoint(folder, Tokenizers.v4(), "deepseek_v3", false))
        .hasMessageStartingWith("FATHOM-3003");
    assertThatThrownBy(() -> PromptEncoders.forModelType("llama", false, Tokenizers.v4()))
        .hasMessageStartingWith("FATHOM-3003");
    assertThatThrownBy(() -> PromptEncoders.forModelType("deepseek_v4", false, Tokenizers.r1()))
        .hasMessageStartingWith("FATHOM-3004");
  }

  @Test
  void aTemplateTakesPrecedenceOverTheModelType() throws IOException {
    Files.writeString(folder.resolve("chat_template.jinja"), TURNS + "</think> is_last_user");
    assertThat(
            PromptEncoders.forCheckpoint(folder, Tokenizers.r1(), "deepseek_v32", false).family())
        .isEqualTo("deepseek-v3.1");
  }

  @Test
  void turnsNamedInTextAreRecognised() {
    String v2 = "{{ 'User: ' + content }}{{ 'Assistant: ' + content + eos }}{{ 'Assistant:' }}";
    assertThat(PromptEncoders.forTemplate(v2, Tokenizers.v3()).family()).isEqualTo("deepseek-v2");
    String coder =
        "{{ 'You are a coder\\n' }}{{ '### Instruction:\\n' }}{{ '### Response:\\n' }}<|EOT|>";
    PromptEncoder encoder = PromptEncoders.forTemplate(coder, Tokenizers.v3());
    assertThat(
            encoder.render(
                Conversation.of(ChatMessage.user("U"), ChatMessage.assistant("A")),
                PromptOptions.CHAT))
        .isEqualTo(
            "<｜begin▁of▁sentence｜>You are a coder\n### Instruction:\nU\n### Response:\nA\n<|EOT|>\n"
                + "### Response:");
    assertThat(Tokenizers.v3().decode(encoder.endId())).isEqualTo("<|EOT|>");
  }

  @Test
  void aDistilledModelIsRecognisedByItsTemplateAndWritesToolsAsTextItsTokenizerHasNoTokensFor() {
    StringBuilder added = new StringBuilder();
    int id = 256;
    for (String token :
        new String[] {
          ControlTokens.END,
          ControlTokens.USER,
          ControlTokens.ASSISTANT,
          ControlTokens.BEGIN,
          ControlTokens.THINK,
          ControlTokens.END_THINK
        }) {
      added.append(added.isEmpty() ? "" : ", ");
      added.append(PreTokenizerTest.added(id++, token, token.contains("of")));
    }
    Tokenizer tokenizer = Tokenizer.parse(PreTokenizerTest.Family.QWEN2.json(added.toString()));
    String template = TURNS + "<｜tool▁outputs▁begin｜> </think> <｜Assistant｜><think>\\n";
    PromptEncoder encoder = PromptEncoders.forTemplate(template, tokenizer);
    assertThat(encoder.family()).isEqualTo("deepseek-r1");
    Conversation c =
        Conversation.of(
            ChatMessage.user("U"),
            ChatMessage.calls(new ToolCall("f", "{}")),
            ChatMessage.toolResult("T"),
            ChatMessage.assistant("A"),
            ChatMessage.user("V"));
    String prompt = encoder.render(c, PromptOptions.THINKING);
    assertThat(prompt).contains("<｜tool▁calls▁begin｜>").endsWith("<｜Assistant｜><think>\n");
    assertThat(encoder.encode(c, PromptOptions.THINKING))
        .isEqualTo(tokenizer.encodeWithSpecials(prompt))
        .startsWith(259, 257, 'U', 258);
  }
}
