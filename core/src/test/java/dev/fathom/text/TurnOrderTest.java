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
import dev.fathom.text.ChatMessage.AssistantMessage;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** In which order messages may stand, and what conversations of several rounds become. */
class TurnOrderTest {
  private static final ToolCall F = new ToolCall("c1", "f", "{\"a\": 1}");
  private static final ToolCall G = new ToolCall("c2", "g", "{}");

  static List<String> families() {
    return PromptEncoders.FAMILIES;
  }

  static List<String> familiesWithTools() {
    return PromptEncoders.FAMILIES.stream()
        .filter(family -> !family.equals("deepseek-v2") && !family.equals("deepseek-coder"))
        .toList();
  }

  private static PromptEncoder encoder(String family) {
    return PromptEncoders.named(family, Tokenizers.of(family));
  }

  @ParameterizedTest
  @MethodSource("familiesWithTools")
  void aResultWithoutACallIsRefusedWithItsPlace(String family) {
    List<Conversation> wrong =
        List.of(
            Conversation.of(user("U"), toolResult("T")),
            Conversation.of(user("U"), toolResult("T"), user("V")),
            Conversation.of(toolResult("T"), user("V")),
            Conversation.of(user("U"), assistant("A"), toolResult("T")),
            Conversation.of(user("U"), calls(F), toolResult("T"), toolResult("T")),
            Conversation.of(user("U"), calls(F), user("V"), toolResult("T")));
    int[] places = {1, 1, 0, 2, 3, 3};
    for (int i = 0; i < places.length; i++) {
      Conversation conversation = wrong.get(i);
      assertThatThrownBy(() -> encoder(family).encode(conversation, PromptOptions.CHAT))
          .as("%s", conversation)
          .isInstanceOfSatisfying(
              TextException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.CONVERSATION_INVALID))
          .hasMessageContaining("no call in front of it is without a result: message=" + places[i])
          .hasMessageContaining("one for each call");
    }
  }

  @ParameterizedTest
  @MethodSource("familiesWithTools")
  void callsMayBeInterruptedByTheUser(String family) {
    Conversation c = Conversation.of(user("U"), calls(F, G), user("stop"));
    assertThat(encoder(family).encode(c, PromptOptions.CHAT)).isNotEmpty();
  }

  @ParameterizedTest
  @CsvSource({"true", "false"})
  void v32HasNoFormForSomeOfTheResults(boolean goesOn) {
    List<ChatMessage> messages = new ArrayList<>(List.of(user("U"), calls(F, G), toolResult("T")));
    if (goesOn) {
      messages.add(user("V"));
    }
    Conversation c = new Conversation(messages, List.of());
    assertThatThrownBy(() -> encoder("deepseek-v3.2").encode(c, PromptOptions.CHAT))
        .hasMessageStartingWith("FATHOM-3005")
        .hasMessageContaining("one for each of 2 calls in front of message 3: results=1");
  }

  @Test
  void aConversationThatEndsInAnAnswerHasNoQuestion() {
    assertNoQuestion("message=1", user("U"), assistant("A"));
    assertNoQuestion("message=1", user("U"), calls(F), system("S"));
    assertNoQuestion("messages=1", system("S"));
    Conversation.of(user("U"), assistant("A"), user("V"), system("S")).requireQuestion();
    Conversation.of(user("U"), calls(F), toolResult("T")).requireQuestion();
    Conversation.of(user("U"), assistant("A"), new ChatMessage.TaskMessage(ChatMessage.Task.TITLE))
        .requireQuestion();
  }

  private static void assertNoQuestion(String why, ChatMessage... messages) {
    assertThatThrownBy(() -> Conversation.of(messages).requireQuestion())
        .isInstanceOf(TextException.class)
        .hasMessageStartingWith("FATHOM-3005")
        .hasMessageContaining(why)
        .hasMessageContaining("add a user's message");
  }

  /** Two rounds of tools with an answer in between and a third question. */
  private static Conversation rounds() {
    return Conversation.of(
        system("S"),
        user("U1"),
        new AssistantMessage("A0", "R0", List.of(F, G)),
        new ChatMessage.ToolMessage("T1", "c1"),
        new ChatMessage.ToolMessage("T2", "c2"),
        new AssistantMessage("A1", "R1", List.of()),
        user("U2"),
        new AssistantMessage(null, "R2", List.of(G)),
        new ChatMessage.ToolMessage("T3", "c2"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "deepseek-v3|false|{B}S{U}U1{A}A0{cs}{c}function{s}f{n}```json{n}{\"a\": 1}{n}```{/c}{n}{c}function{s}g{n}```json{n}{}{n}```{/c}{/cs}{E}{os}{o}T1{/o}{n}{o}T2{/o}{/os}A1{E}{U}U2{A}{cs}{c}function{s}g{n}```json{n}{}{n}```{/c}{/cs}{E}{os}{o}T3{/o}{/os}",
        "deepseek-v2.5|false|{B}S{U}U1{A}A0{cs}{c}function{s}f{n}```json{n}{\"a\": 1}{n}```{/c}{n}{c}function{s}g{n}```json{n}{}{n}```{/c}{/cs}{E}{os}{o}T1{/o}{n}{o}T2{/o}{/os}A1{E}{U}U2{A}{cs}{c}function{s}g{n}```json{n}{}{n}```{/c}{/cs}{E}{os}{o}T3{/o}{/os}",
        "deepseek-r1|true|{B}S{U}U1{A}A0{cs}{c}function{s}f{n}```json{n}{\"a\": 1}{n}```{/c}{n}{c}function{s}g{n}```json{n}{}{n}```{/c}{/cs}{E}{os}{o}T1{/o}{n}{o}T2{/o}{/os}A1{E}{U}U2{A}{cs}{c}function{s}g{n}```json{n}{}{n}```{/c}{/cs}{E}{os}{o}T3{/o}{/os}",
        "deepseek-v3.1|false|{B}S{U}U1{A}</think>A0{cs}{c}f{s}{\"a\": 1}{/c}{c}g{s}{}{/c}{/cs}{E}{o}T1{/o}{o}T2{/o}A1{E}{U}U2{A}</think>{cs}{c}g{s}{}{/c}{/cs}{E}{o}T3{/o}",
        "deepseek-v3.2|true|{B}S{U}U1{A}</think>A0{n}{n}<{D}function_calls>{n}<{D}invoke name=\"f\">{n}<{D}parameter name=\"a\" string=\"false\">1</{D}parameter>{n}</{D}invoke>{n}<{D}invoke name=\"g\">{n}{n}</{D}invoke>{n}</{D}function_calls>{E}{n}{n}<function_results>{n}<result>T1</result>{n}<result>T2</result>{n}</function_results>{n}{n}</think>A1{E}{U}U2{A}<think>R2</think>{n}{n}<{D}function_calls>{n}<{D}invoke name=\"g\">{n}{n}</{D}invoke>{n}</{D}function_calls>{E}{n}{n}<function_results>{n}<result>T3</result>{n}</function_results>{n}{n}<think>",
        "deepseek-v4|true|{B}S{U}U1{A}</think>A0{n}{n}<{D}tool_calls>{n}<{D}invoke name=\"f\">{n}<{D}parameter name=\"a\" string=\"false\">1</{D}parameter>{n}</{D}invoke>{n}<{D}invoke name=\"g\">{n}{n}</{D}invoke>{n}</{D}tool_calls>{E}{U}<tool_result>T1</tool_result>{n}{n}<tool_result>T2</tool_result>{A}</think>A1{E}{U}U2{A}</think>{n}{n}<{D}tool_calls>{n}<{D}invoke name=\"g\">{n}{n}</{D}invoke>{n}</{D}tool_calls>{E}{U}<tool_result>T3</tool_result>{A}<think>",
      })
  void severalRoundsOfCallsBecomeTheFamilysPrompt(String family, boolean thinking, String prompt) {
    PromptOptions options = thinking ? PromptOptions.THINKING : PromptOptions.CHAT;
    PromptEncoder encoder = encoder(family);
    assertThat(shortened(encoder.render(rounds(), options))).isEqualTo(prompt);
    assertThat(encoder.encode(rounds(), options))
        .isEqualTo(Tokenizers.of(family).encodeWithSpecials(encoder.render(rounds(), options)));
  }

  private static String shortened(String prompt) {
    return prompt
        .replace("\n", "{n}")
        .replace("<｜begin▁of▁sentence｜>", "{B}")
        .replace("<｜end▁of▁sentence｜>", "{E}")
        .replace("<｜User｜>", "{U}")
        .replace("<｜Assistant｜>", "{A}")
        .replace("<｜tool▁calls▁begin｜>", "{cs}")
        .replace("<｜tool▁calls▁end｜>", "{/cs}")
        .replace("<｜tool▁call▁begin｜>", "{c}")
        .replace("<｜tool▁call▁end｜>", "{/c}")
        .replace("<｜tool▁outputs▁begin｜>", "{os}")
        .replace("<｜tool▁outputs▁end｜>", "{/os}")
        .replace("<｜tool▁output▁begin｜>", "{o}")
        .replace("<｜tool▁output▁end｜>", "{/o}")
        .replace("<｜tool▁sep｜>", "{s}")
        .replace("｜DSML｜", "{D}");
  }

  @Test
  void tagsInTheStartOfAnAnswerAreControlTokensAndSayWhereTheAnswerStands() {
    for (String family : List.of("deepseek-r1", "deepseek-v3.1", "deepseek-v3.2", "deepseek-v4")) {
      PromptEncoder encoder = encoder(family);
      Tokenizer tokenizer = Tokenizers.of(family);
      Conversation c = Conversation.of(user("U"));
      PromptOptions closed = PromptOptions.THINKING.withAssistantPrefix("r</think>a<｜User｜>");
      int[] ids = encoder.encode(c, closed);
      assertThat(ids).as(family).contains(tokenizer.tokenId("</think>"));
      assertThat(ids).as(family).containsOnlyOnce(tokenizer.tokenId("<｜User｜>"));
      assertThat(encoder.newParser(c, closed).isInReasoning()).as(family).isFalse();
      PromptOptions opened = PromptOptions.CHAT.withAssistantPrefix("</think><think>");
      assertThat(encoder.newParser(c, opened).isInReasoning()).as(family).isTrue();
      assertThat(encoder.newParser(c, PromptOptions.THINKING).isInReasoning()).as(family).isTrue();
    }
  }
}
