package dev.fathom.text;

import static dev.fathom.text.ControlTokens.BEGIN;
import static dev.fathom.text.ControlTokens.END_OF_TURN;

import dev.fathom.text.ChatMessage.AssistantMessage;
import dev.fathom.text.ChatMessage.SystemMessage;
import dev.fathom.text.ChatMessage.UserMessage;

/**
 * Prompts of the first DeepSeek Coder's instruct models.
 *
 * <p>{@code BEGIN system ### Instruction: text ### Response: answer <|EOT|> ...}. Without a system
 * message a text of the checkpoint's template introduces the model. There is no form for tools, and
 * none for reasoning. The names of the turns are text, which a user can write too.
 */
public final class DeepSeekCoderPrompt implements PromptEncoder {
  private static final String FAMILY = "deepseek-coder";

  private final Tokenizer tokenizer;
  private final String defaultSystem;

  /**
   * Creates an encoder.
   *
   * @param defaultSystem what stands in for a missing system message, with its line feed; the
   *     checkpoint's template has it
   * @throws dev.fathom.error.TextException (3004) if the tokenizer lacks a control token
   */
  public DeepSeekCoderPrompt(Tokenizer tokenizer, String defaultSystem) {
    ControlTokens.require(tokenizer, FAMILY, BEGIN, END_OF_TURN);
    this.tokenizer = tokenizer;
    this.defaultSystem = defaultSystem;
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
    return new OutputParser(
        tokenizer, OutputGrammar.PLAIN, OutputParser.Start.CONTENT, tokenizer.tokenId(END_OF_TURN));
  }

  @Override
  public int beginId() {
    return tokenizer.tokenId(BEGIN);
  }

  @Override
  public int endId() {
    return tokenizer.tokenId(END_OF_TURN);
  }

  private void write(Conversation conversation, PromptOptions options, PromptWriter out) {
    PromptParts.requireCommon(conversation, FAMILY);
    PromptParts.requireNoTools(conversation, FAMILY);
    out.control(BEGIN);
    boolean introduced = conversation.messages().stream().anyMatch(SystemMessage.class::isInstance);
    out.text(introduced ? "" : defaultSystem);
    for (ChatMessage message : conversation.messages()) {
      switch (message) {
        case SystemMessage system -> out.text(system.content());
        case UserMessage user -> out.text("### Instruction:\n" + user.content() + "\n");
        case AssistantMessage answer ->
            out.text("### Response:\n" + answer.text() + "\n").control(END_OF_TURN).text("\n");
        default -> throw new IllegalStateException("must have been refused");
      }
    }
    if (options.generationPrompt()) {
      out.text("### Response:" + options.assistantPrefix());
    }
  }
}
