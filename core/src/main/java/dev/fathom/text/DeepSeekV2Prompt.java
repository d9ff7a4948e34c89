package dev.fathom.text;

import static dev.fathom.text.ControlTokens.BEGIN;
import static dev.fathom.text.ControlTokens.END;

import dev.fathom.text.ChatMessage.AssistantMessage;
import dev.fathom.text.ChatMessage.SystemMessage;
import dev.fathom.text.ChatMessage.UserMessage;

/**
 * Prompts of DeepSeek LLM, MoE, V2 and Coder-V2, whose turns are named in plain text.
 *
 * <p>{@code BEGIN system, empty line, User: text, empty line, Assistant: answer END ...}. There is
 * no form for tools, and none for reasoning. The names of the turns are text, which a user can
 * write too: unlike the later families these cannot keep a user from writing what looks like a
 * turn.
 */
public final class DeepSeekV2Prompt implements PromptEncoder {
  private static final String FAMILY = "deepseek-v2";

  private final Tokenizer tokenizer;

  /**
   * Creates an encoder.
   *
   * @throws dev.fathom.error.TextException (3004) if the tokenizer lacks a control token
   */
  public DeepSeekV2Prompt(Tokenizer tokenizer) {
    ControlTokens.require(tokenizer, FAMILY, BEGIN, END);
    this.tokenizer = tokenizer;
  }

  @Override
  public String family() {
    return FAMILY;
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
    return new OutputParser(tokenizer, OutputGrammar.PLAIN, OutputParser.Start.CONTENT);
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
    PromptParts.requireCommon(conversation, FAMILY);
    PromptParts.requireNoTools(conversation, FAMILY);
    out.control(BEGIN);
    for (ChatMessage message : conversation.messages()) {
      switch (message) {
        case SystemMessage system -> out.text(system.content() + "\n\n");
        case UserMessage user -> out.text("User: " + user.content() + "\n\n");
        case AssistantMessage answer -> out.text("Assistant: " + answer.text()).control(END);
        default -> throw new IllegalStateException("must have been refused");
      }
    }
    if (options.generationPrompt()) {
      out.text("Assistant:" + options.assistantPrefix());
    }
  }
}
