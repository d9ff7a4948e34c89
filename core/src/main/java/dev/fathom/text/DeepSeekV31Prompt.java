package dev.fathom.text;

import static dev.fathom.text.ControlTokens.ASSISTANT;
import static dev.fathom.text.ControlTokens.BEGIN;
import static dev.fathom.text.ControlTokens.CALLS_BEGIN;
import static dev.fathom.text.ControlTokens.CALLS_END;
import static dev.fathom.text.ControlTokens.CALL_BEGIN;
import static dev.fathom.text.ControlTokens.CALL_END;
import static dev.fathom.text.ControlTokens.END;
import static dev.fathom.text.ControlTokens.END_THINK;
import static dev.fathom.text.ControlTokens.OUTPUT_BEGIN;
import static dev.fathom.text.ControlTokens.OUTPUT_END;
import static dev.fathom.text.ControlTokens.SEPARATOR;
import static dev.fathom.text.ControlTokens.THINK;
import static dev.fathom.text.ControlTokens.USER;

import dev.fathom.text.ChatMessage.AssistantMessage;
import dev.fathom.text.ChatMessage.SystemMessage;
import dev.fathom.text.ChatMessage.ToolMessage;
import dev.fathom.text.ChatMessage.UserMessage;

/**
 * Prompts of DeepSeek V3.1, V3.1-Terminus and V3.2-Exp, which reason on request.
 *
 * <p>The prompt ends in {@code <think>} or {@code </think>}; earlier answers always carry the bare
 * {@code </think>} and never their reasoning. Calls are bare ({@link ToolCallSyntax#BARE}), results
 * stand without a frame around them, and the model goes on behind them without a generation prompt.
 */
public final class DeepSeekV31Prompt implements PromptEncoder {
  private final Tokenizer tokenizer;

  /**
   * Creates an encoder.
   *
   * @throws dev.fathom.error.TextException (3004) if the tokenizer lacks a control token
   */
  public DeepSeekV31Prompt(Tokenizer tokenizer) {
    ControlTokens.require(
        tokenizer, "deepseek-v3.1", BEGIN, END, USER, ASSISTANT, THINK, END_THINK, CALLS_BEGIN);
    ControlTokens.require(
        tokenizer, "deepseek-v3.1", CALLS_END, CALL_BEGIN, CALL_END, SEPARATOR, OUTPUT_BEGIN);
    ControlTokens.require(tokenizer, "deepseek-v3.1", OUTPUT_END);
    this.tokenizer = tokenizer;
  }

  @Override
  public String family() {
    return "deepseek-v3.1";
  }

  @Override
  public String render(Conversation conversation, PromptOptions options) {
    PromptWriter.Rendering out = new PromptWriter.Rendering();
    write(conversation, options, out);
    return out.toString();
  }

  @Override
  public int[] encode(Conversation conversation, PromptOptions options) {
    PromptWriter.Encoding out = new PromptWriter.Encoding(tokenizer);
    write(conversation, options, out);
    return out.toIds();
  }

  @Override
  public OutputParser newParser(Conversation conversation, PromptOptions options) {
    boolean opened =
        PromptParts.isOpen(
            options.generationPrompt() && options.thinking() && lastIsUser(conversation),
            options.assistantPrefix());
    return new OutputParser(
        tokenizer,
        OutputGrammar.V31,
        opened ? OutputParser.Start.REASONING : OutputParser.Start.CONTENT);
  }

  @Override
  public int beginId() {
    return tokenizer.tokenId(BEGIN);
  }

  @Override
  public int endId() {
    return tokenizer.tokenId(END);
  }

  private static boolean lastIsUser(Conversation conversation) {
    boolean user = false;
    for (ChatMessage message : conversation.messages()) {
      user = message instanceof UserMessage || (user && message instanceof SystemMessage);
    }
    return user;
  }

  private static void write(Conversation conversation, PromptOptions options, PromptWriter out) {
    PromptParts.requireCommon(conversation, "deepseek-v3.1");
    writeSystem(conversation, out);
    boolean afterUser = false;
    boolean afterResult = false;
    for (ChatMessage message : conversation.messages()) {
      switch (message) {
        case SystemMessage ignored -> {}
        case ChatMessage.ExtendedMessage ignored -> {}
        case UserMessage user -> {
          out.control(USER).text(user.content());
          afterUser = true;
          afterResult = false;
        }
        case AssistantMessage answer -> {
          writeAnswer(answer, afterUser, afterResult, out);
          afterUser = false;
          afterResult = false;
        }
        case ToolMessage result -> {
          out.control(OUTPUT_BEGIN).text(result.content()).control(OUTPUT_END);
          afterUser = false;
          afterResult = true;
        }
      }
    }
    if (options.generationPrompt() && afterUser) {
      out.control(ASSISTANT).control(options.thinking() ? THINK : END_THINK);
    }
    out.prefix(options.assistantPrefix());
  }

  /** As the template: only a plain answer that follows no result is cut at its {@code </think>}. */
  private static void writeAnswer(
      AssistantMessage answer, boolean afterUser, boolean afterResult, PromptWriter out) {
    if (afterUser) {
      out.control(ASSISTANT).control(END_THINK);
    }
    boolean verbatim = afterResult || !answer.toolCalls().isEmpty();
    out.text(verbatim ? answer.text() : PromptParts.afterFirst(answer.text(), END_THINK));
    writeCalls(answer, out);
    out.control(END);
  }

  static void writeCalls(AssistantMessage answer, PromptWriter out) {
    if (answer.toolCalls().isEmpty()) {
      return;
    }
    out.control(CALLS_BEGIN);
    for (ToolCall call : answer.toolCalls()) {
      ToolCallSyntax.BARE.write(call, out);
    }
    out.control(CALLS_END);
  }

  private static void writeSystem(Conversation conversation, PromptWriter out) {
    String system = PromptParts.joinedSystem(conversation);
    out.control(BEGIN).text(system);
    if (conversation.tools().isEmpty()) {
      return;
    }
    out.text(system.isEmpty() ? "" : "\n\n");
    out.text("## Tools\nYou have access to the following tools:\n\n");
    for (ToolDefinition tool : conversation.tools()) {
      out.text("### " + tool.name() + "\nDescription: " + tool.description() + "\n\n");
      out.text("Parameters: " + PromptParts.parameters(tool) + "\n\n");
    }
    writeToolRules(out);
  }

  private static void writeToolRules(PromptWriter out) {
    out.text("IMPORTANT: ALWAYS adhere to this exact format for tool use:\n")
        .control(CALLS_BEGIN)
        .control(CALL_BEGIN)
        .text("tool_call_name")
        .control(SEPARATOR)
        .text("tool_call_arguments")
        .control(CALL_END)
        .text("{{additional_tool_calls}}")
        .control(CALLS_END)
        .text("\n\nWhere:\n\n")
        .text("- `tool_call_name` must be an exact match to one of the available tools\n")
        .text("- `tool_call_arguments` must be valid JSON that strictly follows the tool's")
        .text(" Parameters Schema\n")
        .text("- For multiple tool calls, chain them directly without separators or spaces");
  }
}
