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
 * Prompts of the small sample model that comes with the library: close to V3.1, with its own list
 * of tools (names and descriptions only) and earlier answers kept as they are.
 */
public final class SamplePrompt implements PromptEncoder {
  private final Tokenizer tokenizer;

  /**
   * Creates an encoder.
   *
   * @throws dev.fathom.error.TextException (3004) if the tokenizer lacks a control token
   */
  public SamplePrompt(Tokenizer tokenizer) {
    ControlTokens.require(
        tokenizer, "sample", BEGIN, END, USER, ASSISTANT, THINK, END_THINK, CALLS_BEGIN, CALLS_END);
    ControlTokens.require(
        tokenizer, "sample", CALL_BEGIN, CALL_END, SEPARATOR, OUTPUT_BEGIN, OUTPUT_END);
    this.tokenizer = tokenizer;
  }

  @Override
  public String family() {
    return "sample";
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
            options.generationPrompt()
                && options.thinking()
                && !PromptParts.endsInToolResult(conversation),
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

  private static void write(Conversation conversation, PromptOptions options, PromptWriter out) {
    PromptParts.requireCommon(conversation, "sample");
    writeSystem(conversation, out);
    boolean afterResult = false;
    for (ChatMessage message : conversation.messages()) {
      switch (message) {
        case SystemMessage ignored -> {}
        case ChatMessage.ExtendedMessage ignored -> {}
        case UserMessage user -> {
          out.control(USER).text(user.content());
          afterResult = false;
        }
        case AssistantMessage answer -> {
          if (!afterResult) {
            out.control(ASSISTANT).control(END_THINK);
          }
          out.text(answer.text());
          DeepSeekV31Prompt.writeCalls(answer, out);
          out.control(END);
          afterResult = false;
        }
        case ToolMessage result -> {
          out.control(OUTPUT_BEGIN).text(result.content()).control(OUTPUT_END);
          afterResult = true;
        }
      }
    }
    if (options.generationPrompt() && !afterResult) {
      out.control(ASSISTANT).control(options.thinking() ? THINK : END_THINK);
    }
    out.prefix(options.assistantPrefix());
  }

  /** The template drops empty system messages in front, so no line is left blank for them. */
  private static void writeSystem(Conversation conversation, PromptWriter out) {
    StringBuilder system = new StringBuilder();
    for (ChatMessage message : conversation.messages()) {
      if (message instanceof SystemMessage m) {
        system.append(system.isEmpty() ? "" : "\n\n").append(m.content());
      }
    }
    out.control(BEGIN).text(system.toString());
    if (conversation.tools().isEmpty()) {
      return;
    }
    out.text(system.isEmpty() ? "" : "\n\n");
    out.text("## Tools\nYou have access to the following tools:\n");
    for (ToolDefinition tool : conversation.tools()) {
      out.text("\n### " + tool.name() + "\nDescription: " + tool.description() + "\n");
    }
  }
}
