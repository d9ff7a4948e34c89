package dev.fathom.text;

import static dev.fathom.text.ChatMessage.assistant;
import static dev.fathom.text.ChatMessage.calls;
import static dev.fathom.text.ChatMessage.system;
import static dev.fathom.text.ChatMessage.toolResult;
import static dev.fathom.text.ChatMessage.user;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.TextException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Renderings stated by the specification: {B}, {E}, {U}, {A} stand for the control tokens. */
class PromptEncoderTest {
  private static final ToolCall F = new ToolCall("f", "{\"a\": 1}");
  private static final ToolCall G = new ToolCall("g", "{}");
  private static final Conversation BASE =
      Conversation.of(
          system("S"),
          user("U1"),
          new ChatMessage.AssistantMessage("A1", "R1", List.of()),
          user("U2"));

  private static PromptEncoder encoder(String family) {
    return PromptEncoders.named(family, Tokenizers.of(family));
  }

  private static String shortened(String prompt) {
    return prompt
        .replace("<｜begin▁of▁sentence｜>", "{B}")
        .replace("<｜end▁of▁sentence｜>", "{E}")
        .replace("<｜User｜>", "{U}")
        .replace("<｜Assistant｜>", "{A}")
        .replace("<｜tool▁", "{")
        .replace("｜>", "}")
        .replace('▁', ' ');
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "deepseek-v3|false|{B}S{U}U1{A}A1{E}{U}U2{A}",
        "deepseek-v3-original|false|{B}S{U}U1{A}A1{E}{U}U2{A}",
        "deepseek-r1|true|{B}S{U}U1{A}A1{E}{U}U2{A}<think>\\n",
        "deepseek-r1-0528|true|{B}S{U}U1{A}A1{E}{U}U2{A}",
        "deepseek-v3.1|false|{B}S{U}U1{A}</think>A1{E}{U}U2{A}</think>",
        "deepseek-v3.1|true|{B}S{U}U1{A}</think>A1{E}{U}U2{A}<think>",
        "deepseek-v2|false|{B}S\\n\\nUser: U1\\n\\nAssistant: A1{E}User: U2\\n\\nAssistant:",
        "deepseek-coder|false|{B}S### Instruction:\\nU1\\n### Response:\\nA1\\n<[EOT]>\\n### Instruction:\\nU2\\n### Response:",
        "deepseek-v2.5|false|{B}S{U}U1{A}A1{E}{U}U2{A}",
        "deepseek-v3.2|false|{B}S{U}U1{A}</think>A1{E}{U}U2{A}</think>",
        "deepseek-v3.2|true|{B}S{U}U1{A}</think>A1{E}{U}U2{A}<think>",
        "deepseek-v4|false|{B}S{U}U1{A}</think>A1{E}{U}U2{A}</think>",
        "deepseek-v4|true|{B}S{U}U1{A}</think>A1{E}{U}U2{A}<think>",
        "deepseek-v4-0731|true|{B}S{U}U1{A}</think>A1{E}{U}U2{A}<think>",
        "sample|false|{B}S{U}U1{A}</think>A1{E}{U}U2{A}</think>",
        "sample|true|{B}S{U}U1{A}</think>A1{E}{U}U2{A}<think>",
      })
  void theBaseConversationRendersAsStated(String family, boolean thinking, String expected) {
    PromptOptions options = PromptOptions.CHAT.withThinking(thinking);
    assertThat(shortened(encoder(family).render(BASE, options)))
        .isEqualTo(expected.replace("\\n", "\n").replace("<[EOT]>", "<|EOT|>"));
  }

  @Test
  void v31ChainsCallsAndResultsWithoutFrames() {
    Conversation c =
        Conversation.of(
            user("U1"),
            calls(F, G),
            toolResult("T1"),
            toolResult("T2"),
            assistant("A2"),
            user("U2"));
    assertThat(shortened(encoder("deepseek-v3.1").render(c, PromptOptions.CHAT)))
        .isEqualTo(
            "{B}{U}U1{A}</think>{calls begin}{call begin}f{sep}{\"a\": 1}{call end}{call begin}g{sep}"
                + "{}{call end}{calls end}{E}{output begin}T1{output end}{output begin}T2{output end}"
                + "A2{E}{U}U2{A}</think>");
  }

  @Test
  void v3FramesEveryRoundOfCallsAndResults() {
    Conversation c =
        Conversation.of(
            user("U1"),
            calls(F, G),
            toolResult("T1"),
            toolResult("T2"),
            calls(F),
            toolResult("T3"),
            assistant("A2"),
            user("U2"));
    String fText = "{call begin}function{sep}f\n```json\n{\"a\": 1}\n```{call end}";
    assertThat(shortened(encoder("deepseek-v3").render(c, PromptOptions.CHAT)))
        .isEqualTo(
            "{B}{U}U1{A}{calls begin}"
                + fText
                + "\n{call begin}function{sep}g\n```json\n{}\n```{call end}{calls end}{E}"
                + "{outputs begin}{output begin}T1{output end}\n{output begin}T2{output end}{outputs"
                + " end}{calls begin}"
                + fText
                + "{calls end}{E}{outputs begin}{output begin}T3{output end}{outputs end}A2{E}"
                + "{U}U2{A}");
  }

  @Test
  void theOriginalV3TemplateLeavesASingleCallOpen() {
    Conversation c = Conversation.of(user("U1"), calls(F), toolResult("T1"));
    assertThat(shortened(encoder("deepseek-v3-original").render(c, PromptOptions.CHAT)))
        .isEqualTo(
            "{B}{U}U1{A}{calls begin}{call begin}function{sep}f\n```json\n{\"a\": 1}\n```{call end}"
                + "{outputs begin}{output begin}T1{output end}{outputs end}");
  }

  @Test
  void v31DescribesToolsBehindTheSystemTextWithControlTokensInTheExample() {
    ToolDefinition tool =
        new ToolDefinition("f", "Adds é", "{\"type\":\"object\",\"minimum\":1e5,\"a\":[1,2]}");
    Conversation c = Conversation.of(system("S"), user("U")).withTools(tool);
    PromptEncoder v31 = encoder("deepseek-v3.1");
    String prompt = shortened(v31.render(c, PromptOptions.CHAT));
    assertThat(prompt)
        .startsWith(
            "{B}S\n\n## Tools\nYou have access to the following tools:\n\n### f\nDescription: Adds"
                + " é\n\nParameters: {\"type\": \"object\", \"minimum\": 100000.0, \"a\": [1, 2]}\n\n"
                + "IMPORTANT: ALWAYS adhere to this exact format for tool use:\n{calls begin}{call"
                + " begin}tool_call_name{sep}tool_call_arguments{call end}{{additional_tool_calls}}"
                + "{calls end}\n\nWhere:\n\n- `tool_call_name` must")
        .endsWith("chain them directly without separators or spaces{U}U{A}</think>");
    assertThat(v31.encode(c, PromptOptions.CHAT))
        .isEqualTo(Tokenizers.r1().encodeWithSpecials(v31.render(c, PromptOptions.CHAT)));
  }

  @Test
  void v3DescribesToolsAsTheV25CardDoes() {
    ToolDefinition tool = new ToolDefinition("f", "Adds", "{\"type\":\"object\"}");
    Conversation c = Conversation.of(user("U")).withTools(tool);
    assertThat(shortened(encoder("deepseek-v3").render(c, PromptOptions.CHAT)))
        .isEqualTo(
            "{B}## Tools\n\n### Function\n\nYou have the following functions available:\n\n"
                + "- `f`:\n```json\n{\"name\": \"f\", \"description\": \"Adds\", \"parameters\":"
                + " {\"type\": \"object\"}}\n```\n{U}U{A}");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "{", "\"text\"", ""})
  void parametersThatAreNoObjectAreRefusedByNameOfTheTool(String parameters) {
    Conversation c =
        Conversation.of(user("U")).withTools(new ToolDefinition("bad\ntool", "d", parameters));
    assertThatThrownBy(() -> encoder("deepseek-v3.1").encode(c, PromptOptions.CHAT))
        .isInstanceOfSatisfying(
            TextException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.CONVERSATION_INVALID))
        .hasMessageContaining("\"bad\\ntool\"")
        .hasMessageContaining("must be a JSON object");
  }

  @Test
  void anAssistantPrefixFollowsTheGenerationPrompt() {
    PromptOptions options = PromptOptions.THINKING.withAssistantPrefix("First, ");
    assertThat(encoder("deepseek-v3.1").render(Conversation.of(user("U")), options))
        .endsWith("<｜Assistant｜><think>First, ");
    assertThatThrownBy(() -> PromptOptions.TRANSCRIPT.withAssistantPrefix("x"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("must be empty without generationPrompt");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "deepseek-v3",
        "deepseek-v3-original",
        "deepseek-r1",
        "deepseek-r1-0528",
        "deepseek-v2.5",
        "deepseek-v3.1",
        "deepseek-v3.2",
        "deepseek-v4",
        "sample"
      })
  void noAddedTokenInAnyTextBecomesAControlToken(String family) {
    PromptEncoder encoder = encoder(family);
    Tokenizer tokenizer = Tokenizers.of(family);
    int[] harmless = addedIds(tokenizer, encoder.encode(everywhere("x"), PromptOptions.THINKING));
    assertThat(harmless).isNotEmpty();
    for (String token : tokenizer.addedTokens().keySet()) {
      int[] ids = encoder.encode(everywhere(token), PromptOptions.THINKING);
      assertThat(addedIds(tokenizer, ids)).as(token).isEqualTo(harmless);
      int[] split = encoder.encode(splitOverMessages(token), PromptOptions.THINKING);
      assertThat(addedIds(tokenizer, split))
          .as(token)
          .isEqualTo(
              addedIds(tokenizer, encoder.encode(splitOverMessages("xx"), PromptOptions.THINKING)));
    }
  }

  /** The text in every place of a conversation that others may write. */
  private static Conversation everywhere(String text) {
    ToolCall call = new ToolCall(text, text, "{\"" + text + "\": \"" + text + "\"}");
    return Conversation.of(
            system(text),
            system("a" + text + "b"),
            user(text + text),
            new ChatMessage.AssistantMessage(null, text, List.of(call)),
            toolResult(text),
            assistant("b" + text.replace("</think>", "<think>")),
            user(" " + text + " "))
        .withTools(new ToolDefinition(text, text, "{\"" + text + "\": \"" + text + "\"}"));
  }

  /** The text cut in two, the halves where they meet in the prompt. */
  private static Conversation splitOverMessages(String text) {
    int mid = text.length() / 2;
    return Conversation.of(
        system(text.substring(0, mid)),
        user(text.substring(mid) + text.substring(0, mid)),
        user(text.substring(mid)),
        calls(F),
        toolResult(text.substring(0, mid)),
        assistant(text.substring(mid)),
        user("u"));
  }

  private static int[] addedIds(Tokenizer tokenizer, int[] ids) {
    List<Integer> added = new ArrayList<>();
    for (int id : ids) {
      if (tokenizer.isAdded(id)) {
        added.add(id);
      }
    }
    return added.stream().mapToInt(Integer::intValue).toArray();
  }

  @Test
  void aTokenizerWithoutThinkTokensDoesNotFitReasoningFamilies() {
    assertThatThrownBy(() -> PromptEncoders.named("deepseek-v3.1", Tokenizers.v3()))
        .isInstanceOf(TextException.class)
        .hasMessageStartingWith("FATHOM-3004")
        .hasMessageContaining("\"<think>\"");
  }

  @ParameterizedTest
  @ValueSource(strings = {"deepseek-v2", "deepseek-coder"})
  void familiesWithoutToolsKeepAddedTokensOutAndRefuseTools(String family) {
    PromptEncoder encoder = encoder(family);
    for (String token : Tokenizers.r1().addedTokens().keySet()) {
      Conversation c = Conversation.of(system(token), user(token), assistant(token), user(token));
      Conversation plain = Conversation.of(system("x"), user("x"), assistant("x"), user("x"));
      assertThat(addedIds(Tokenizers.r1(), encoder.encode(c, PromptOptions.CHAT)))
          .isEqualTo(addedIds(Tokenizers.r1(), encoder.encode(plain, PromptOptions.CHAT)));
    }
    assertThatThrownBy(() -> encoder.encode(Conversation.of(calls(F)), PromptOptions.CHAT))
        .hasMessageStartingWith("FATHOM-3005");
    assertThatThrownBy(() -> encoder.encode(Conversation.of(toolResult("T")), PromptOptions.CHAT))
        .hasMessageStartingWith("FATHOM-3005");
  }

  @Test
  void theV25TemplateTakesTheLastSystemMessage() {
    Conversation c = Conversation.of(system("S1"), system("S2"), user("U"));
    assertThat(shortened(encoder("deepseek-v2.5").render(c, PromptOptions.CHAT)))
        .isEqualTo("{B}S2{U}U{A}");
    assertThat(shortened(encoder("deepseek-v3").render(c, PromptOptions.CHAT)))
        .isEqualTo("{B}S1\n\nS2{U}U{A}");
  }

  @Test
  void fillInTheMiddleFramesBothTextsAndKeepsAddedTokensOut() {
    FillInTheMiddle fim = new FillInTheMiddle(Tokenizers.v3());
    assertThat(fim.render("def f(", "return x"))
        .isEqualTo("<｜begin▁of▁sentence｜><｜fim▁begin｜>def f(<｜fim▁hole｜>return x<｜fim▁end｜>");
    assertThat(fim.encode("def f(", "return x"))
        .isEqualTo(Tokenizers.v3().encodeWithSpecials(fim.render("def f(", "return x")));
    assertThat(addedIds(Tokenizers.v3(), fim.encode("<｜fim▁hole｜>", "<｜fim▁end｜>")))
        .containsExactly(0, 128801, 128800, 128802);
  }

  @Test
  void familiesWithoutAFormForItRefuseAResponseFormat() {
    for (String family : PromptEncoders.FAMILIES) {
      Conversation c = Conversation.of(user("U")).withResponseFormat("{}");
      if (!family.equals("deepseek-v3.2") && !family.startsWith("deepseek-v4")) {
        assertThatThrownBy(() -> encoder(family).encode(c, PromptOptions.CHAT))
            .as(family)
            .hasMessageStartingWith("FATHOM-3005");
      }
    }
  }
}
