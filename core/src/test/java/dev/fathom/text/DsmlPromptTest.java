package dev.fathom.text;

import static dev.fathom.text.ChatMessage.assistant;
import static dev.fathom.text.ChatMessage.system;
import static dev.fathom.text.ChatMessage.toolResult;
import static dev.fathom.text.ChatMessage.user;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.text.ChatMessage.AssistantMessage;
import dev.fathom.text.ChatMessage.DeveloperMessage;
import dev.fathom.text.ChatMessage.ReminderMessage;
import dev.fathom.text.ChatMessage.Task;
import dev.fathom.text.ChatMessage.TaskMessage;
import dev.fathom.text.ChatMessage.ToolMessage;
import dev.fathom.text.PromptOptions.Effort;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Renderings of V3.2 and V4 stated by the specification. */
class DsmlPromptTest {
  private static final PromptOptions CHAT = PromptOptions.CHAT;
  private static final PromptOptions THINKING = PromptOptions.THINKING;
  private static final ToolDefinition TOOL =
      new ToolDefinition("f", "Adds é", "{\"type\":\"object\",\"a\":[1,2]}");
  private static final ToolCall F = new ToolCall("c1", "f", "{\"a\": 1, \"b\": \"x y\"}");
  private static final ToolCall G = new ToolCall("c2", "g", "{}");
  private static final String CALLS =
      "<{D}invoke name=\"f\">\n"
          + "<{D}parameter name=\"a\" string=\"false\">1</{D}parameter>\n"
          + "<{D}parameter name=\"b\" string=\"true\">x y</{D}parameter>\n"
          + "</{D}invoke>\n<{D}invoke name=\"g\">\n\n</{D}invoke>\n";
  private static final String V4_CALLS = "\n\n<{D}tool_calls>\n" + CALLS + "</{D}tool_calls>";
  private static final String V32_CALLS =
      "\n\n<{D}function_calls>\n" + CALLS + "</{D}function_calls>";
  private static final String V32_RESULTS =
      "\n\n<function_results>\n<result>T2</result>\n<result>T1</result>\n</function_results>\n\n";

  private static AssistantMessage answer(String reasoning, String content, ToolCall... calls) {
    return new AssistantMessage(content, reasoning, List.of(calls));
  }

  private static Conversation round(ChatMessage... more) {
    List<ChatMessage> messages = new ArrayList<>();
    messages.add(system("S"));
    messages.add(user("U1"));
    messages.add(answer("R1", "A1", F, G));
    messages.add(new ToolMessage("T2", "c2"));
    messages.add(new ToolMessage("T1", "c1"));
    messages.addAll(Arrays.asList(more));
    return new Conversation(messages, List.of(TOOL));
  }

  private static String render(String family, Conversation conversation, PromptOptions options) {
    PromptEncoder encoder = PromptEncoders.named(family, Tokenizers.v4());
    String prompt = encoder.render(conversation, options);
    int[] ids = encoder.encode(conversation, options);
    assertThat(ids).isEqualTo(Tokenizers.v4().encodeWithSpecials(prompt));
    String shortened =
        prompt
            .replace("<｜begin▁of▁sentence｜>", "{B}")
            .replace("<｜end▁of▁sentence｜>", "{E}")
            .replace("<｜User｜>", "{U}")
            .replace("<｜Assistant｜>", "{A}")
            .replace("｜DSML｜", "{D}");
    int from = shortened.indexOf("## Tools\n\nYou have access");
    String lastLine = family.equals("deepseek-v3.2") ? "</functions>\n" : "to invoke tool calls.\n";
    int to = from < 0 ? -1 : shortened.indexOf(lastLine, from);
    return from < 0
        ? shortened
        : shortened.substring(0, from) + "{TOOLS}" + shortened.substring(to + lastLine.length());
  }

  private static String v4(Conversation conversation, PromptOptions options) {
    return render("deepseek-v4", conversation, options);
  }

  private static String v32(Conversation conversation, PromptOptions options) {
    return render("deepseek-v3.2", conversation, options);
  }

  @Test
  void v4SortsResultsIntoBlocksOfAUserTurn() {
    String results = "{E}{U}<tool_result>T1</tool_result>\n\n<tool_result>T2</tool_result>{A}";
    String start = "{B}S\n\n{TOOLS}{U}U1{A}";
    assertThat(v4(round(), THINKING))
        .isEqualTo(start + "<think>R1</think>A1" + V4_CALLS + results + "<think>");
    assertThat(v4(round(), CHAT)).isEqualTo(start + "</think>A1" + V4_CALLS + results + "</think>");
    assertThat(v4(round(answer("R2", "A2"), user("U2")), THINKING))
        .isEqualTo(
            start
                + "<think>R1</think>A1"
                + V4_CALLS
                + results
                + "<think>R2</think>A2{E}{U}U2{A}<think>");
  }

  @Test
  void v4MergesUserTextIntoTheTurnOfTheResults() {
    assertThat(v4(round(user("U2"), user("U3")), CHAT))
        .endsWith("<tool_result>T2</tool_result>\n\nU2\n\nU3{A}</think>");
    assertThat(v4(Conversation.of(user("U1"), user("U2")), CHAT))
        .isEqualTo("{B}{U}U1\n\nU2{A}</think>");
  }

  @Test
  void v4DropsEarlierReasoningUnlessToolsAreOfferedOrItIsKept() {
    Conversation c = Conversation.of(user("U1"), answer("R1", "A1"), user("U2"));
    assertThat(v4(c, THINKING)).isEqualTo("{B}{U}U1{A}</think>A1{E}{U}U2{A}<think>");
    String kept = "{U}U1{A}<think>R1</think>A1{E}{U}U2{A}<think>";
    assertThat(v4(c, THINKING.withKeepReasoning(true))).isEqualTo("{B}" + kept);
    assertThat(v4(c.withTools(TOOL), THINKING)).isEqualTo("{B}\n\n{TOOLS}" + kept);
  }

  @Test
  void v4HasTokensForRemindersAndTasks() {
    ReminderMessage reminder = new ReminderMessage("2026");
    assertThat(v4(Conversation.of(system("S"), reminder, user("U")), CHAT))
        .isEqualTo("{B}S<｜latest_reminder｜>2026{U}U{A}</think>");
    assertThat(v4(Conversation.of(system("S"), user("U"), reminder), CHAT))
        .isEqualTo("{B}S{U}U{A}</think><｜latest_reminder｜>2026");
    assertThat(v4(Conversation.of(user("U"), assistant("A"), new TaskMessage(Task.TITLE)), CHAT))
        .isEqualTo("{B}{U}U{A}</think>A{E}<｜title｜>");
    assertThat(v4(Conversation.of(user("U"), new TaskMessage(Task.ACTION)), CHAT))
        .isEqualTo("{B}{U}U{A}</think><｜action｜>");
    assertThat(v4(Conversation.of(user("U"), new TaskMessage(Task.QUERY)), THINKING))
        .isEqualTo("{B}{U}U<｜query｜>");
    Conversation answered =
        Conversation.of(user("U"), new TaskMessage(Task.QUERY), answer("R", "A"), user("V"));
    assertThat(v4(answered, THINKING.withKeepReasoning(true)))
        .isEqualTo("{B}{U}U<｜query｜>A{E}{U}V{A}<think>");
    assertThatThrownBy(() -> v4(Conversation.of(new TaskMessage(Task.QUERY)), CHAT))
        .hasMessageStartingWith("FATHOM-3005");
  }

  @Test
  void theRevisionsOfV4AskForEffortInTheirOwnWords() {
    Conversation c = Conversation.of(user("U"));
    for (Effort effort : Effort.values()) {
      PromptOptions options = THINKING.withEffort(effort);
      String preview = render("deepseek-v4", c, options);
      String later = render("deepseek-v4-0731", c, options);
      switch (effort) {
        case DEFAULT, LOW -> assertThat(List.of(preview, later)).containsOnly("{B}{U}U{A}<think>");
        case HIGH -> {
          assertThat(preview).isEqualTo("{B}{U}U{A}<think>");
          assertThat(later)
              .startsWith("{B}Reasoning Effort: Absolute maximum with no shortcuts permitted.\nYou")
              .endsWith("is left unchecked.\n\n{U}U{A}<think>");
        }
        case MAX -> {
          assertThat(preview).startsWith("{B}Reasoning Effort: Absolute maximum");
          assertThat(later)
              .startsWith("{B}Reasoning Effort: Beyond maximum — exhaustive, relentless, and")
              .endsWith("no error remains undiscovered.\n\n{U}U{A}<think>");
        }
      }
      assertThat(v4(c, CHAT.withEffort(effort))).isEqualTo("{B}{U}U{A}</think>");
    }
  }

  @Test
  void argumentsThatAreNoJsonBecomeOneArgumentInV4AndAreRefusedInV32() {
    Conversation c = Conversation.of(user("U"), answer("R", "A", new ToolCall("f", "{bad")));
    assertThat(v4(c, CHAT))
        .contains("<{D}parameter name=\"arguments\" string=\"true\">{bad</{D}parameter>");
    assertThatThrownBy(() -> v32(c, CHAT)).hasMessageStartingWith("FATHOM-3005");
    Conversation list = Conversation.of(user("U"), answer("R", "A", new ToolCall("f", "[1]")));
    assertThatThrownBy(() -> v4(list, CHAT)).hasMessageStartingWith("FATHOM-3005");
  }

  @Test
  void v32FramesResultsInTheOrderGivenAndReasonsOn() {
    assertThat(v32(round(), THINKING))
        .isEqualTo(
            "{B}S\n\n{TOOLS}{U}U1{A}<think>R1</think>A1"
                + V32_CALLS
                + "{E}"
                + V32_RESULTS
                + "<think>");
    assertThat(v32(round(answer("R2", "A2"), user("U2")), THINKING))
        .isEqualTo(
            "{B}S\n\n{TOOLS}{U}U1{A}</think>A1"
                + V32_CALLS
                + "{E}"
                + V32_RESULTS
                + "</think>A2{E}{U}U2{A}<think>");
    assertThat(v32(round(), CHAT)).endsWith(V32_RESULTS + "</think>");
  }

  @Test
  void resultsWithoutACallAreRefusedByV32() {
    List<Conversation> wrong =
        List.of(
            Conversation.of(user("U"), toolResult("T")),
            Conversation.of(toolResult("T")),
            Conversation.of(user("U"), answer("R", "", G), toolResult("T"), toolResult("T")),
            Conversation.of(user("U"), answer("R", "", G), user("V"), toolResult("T")));
    for (Conversation c : wrong) {
      assertThatThrownBy(() -> v32(c, CHAT)).hasMessageStartingWith("FATHOM-3005");
    }
    Conversation bare = Conversation.of(user("U"), assistant("A"));
    assertThatThrownBy(() -> v32(bare, THINKING)).hasMessageContaining("reasoning or tool calls");
    assertThat(v32(bare, CHAT)).isEqualTo("{B}{U}U{A}</think>A{E}");
  }

  @Test
  void developersCarryToolsAndResponseFormatsAndAreDroppedFromEarlierRounds() {
    ChatMessage developer = new DeveloperMessage("Do", List.of(TOOL), "{\"a\":1}");
    String format =
        "\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n"
            + "{\"a\": 1}";
    Conversation c = Conversation.of(system("S"), developer);
    assertThat(v32(c, THINKING))
        .isEqualTo("{B}S{U}\n\n{TOOLS}" + format + "\n\n# The user's message is: Do{A}<think>");
    assertThat(v4(c, THINKING)).isEqualTo("{B}S{U}Do\n\n{TOOLS}" + format + "{A}<think>");
    ChatMessage plain = new DeveloperMessage("Do", List.of(), null);
    Conversation later = Conversation.of(plain, answer("R", "A"), user("U"));
    assertThat(v32(later, THINKING)).isEqualTo("{B}A{E}{U}U{A}<think>");
    assertThat(v4(later, THINKING)).isEqualTo("{B}A{E}{U}U{A}<think>");
    assertThat(v4(later, CHAT)).isEqualTo("{B}{U}Do{A}</think>A{E}{U}U{A}</think>");
    Conversation empty = Conversation.of(new DeveloperMessage("", List.of(), null));
    assertThatThrownBy(() -> v4(empty, CHAT)).hasMessageStartingWith("FATHOM-3005");
    assertThatThrownBy(() -> v32(empty, CHAT)).hasMessageStartingWith("FATHOM-3005");
  }

  @Test
  void aResponseFormatFollowsTheSystemText() {
    Conversation c = Conversation.of(system("S"), user("U")).withResponseFormat("{\"a\":[1,2]}");
    String expected =
        "{B}S\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n"
            + "{\"a\": [1, 2]}{U}U{A}</think>";
    assertThat(v4(c, CHAT)).isEqualTo(expected);
    assertThat(v32(c, CHAT)).isEqualTo(expected);
    Conversation bad = Conversation.of(user("U")).withResponseFormat("{");
    assertThatThrownBy(() -> v4(bad, CHAT)).hasMessageStartingWith("FATHOM-3005");
  }

  @Test
  void toolsAreDescribedInTheWordsOfTheFamily() {
    Conversation c = Conversation.of(user("U")).withTools(TOOL, TOOL);
    String json =
        "{\"name\": \"f\", \"description\": \"Adds é\", \"parameters\": {\"type\": \"object\","
            + " \"a\": [1, 2]}}";
    String v4 = PromptEncoders.named("deepseek-v4", Tokenizers.v4()).render(c, CHAT);
    assertThat(v4)
        .contains(
            "\n\n### Available Tool Schemas\n\n" + json + "\n" + json + "\n\nYou MUST strictly")
        .contains(
            "(triggered by <think>), you MUST output your complete reasoning inside <think>...")
        .contains("You can invoke tools by writing a \"<｜DSML｜tool_calls>\" block like");
    String v32 = PromptEncoders.named("deepseek-v3.2", Tokenizers.v4()).render(c, CHAT);
    assertThat(v32)
        .contains(
            "format:\n<functions>\n".substring(8) + json + "\n" + json + "\n</functions>\n<｜User｜>")
        .contains(
            "</｜DSML｜function_calls>\n\nString and scalar parameters should be specified as is")
        .contains("\n\n<think>...thinking about results</think>\n\nHere are the functions");
  }

  @Test
  void v32WritesTheMarkupAsTextWhereTheTokenizerHasNoTokenForIt() {
    PromptEncoder encoder = PromptEncoders.named("deepseek-v3.2", Tokenizers.r1());
    String prompt = encoder.render(round(), THINKING);
    assertThat(encoder.encode(round(), THINKING))
        .isEqualTo(Tokenizers.r1().encodeWithSpecials(prompt));
  }

  @Test
  void aTranscriptEndsBehindTheLastMessage() {
    assertThat(v4(Conversation.of(user("U")), PromptOptions.TRANSCRIPT)).isEqualTo("{B}{U}U");
    assertThat(v32(Conversation.of(user("U")), PromptOptions.TRANSCRIPT)).isEqualTo("{B}{U}U");
    assertThat(v32(round(), PromptOptions.TRANSCRIPT)).endsWith("\n</function_results>");
  }

  @Test
  void parsersStartInReasoningWhereThePromptOpensIt() {
    assertThat(first("deepseek-v3.2", round(), THINKING, ""))
        .isInstanceOf(OutputEvent.Reasoning.class);
    assertThat(first("deepseek-v4", round(), THINKING, ""))
        .isInstanceOf(OutputEvent.Reasoning.class);
    assertThat(first("deepseek-v4", round(), CHAT, "")).isInstanceOf(OutputEvent.Content.class);
    assertThat(first("deepseek-v4", round(), THINKING, "r</think>"))
        .isInstanceOf(OutputEvent.Content.class);
    Conversation reminded = Conversation.of(user("U"), new ReminderMessage("2026"));
    assertThat(first("deepseek-v4", reminded, THINKING, ""))
        .isInstanceOf(OutputEvent.Content.class);
  }

  private static @Nullable OutputEvent first(
      String family, Conversation conversation, PromptOptions options, String prefix) {
    OutputParser parser =
        PromptEncoders.named(family, Tokenizers.v4())
            .newParser(conversation, options.withAssistantPrefix(prefix));
    return parser.accept("text").getFirst();
  }
}
