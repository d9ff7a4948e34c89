package dev.fathom.text;

import static dev.fathom.text.ControlTokens.ASSISTANT;
import static dev.fathom.text.ControlTokens.BEGIN;
import static dev.fathom.text.ControlTokens.DSML;
import static dev.fathom.text.ControlTokens.END;
import static dev.fathom.text.ControlTokens.END_THINK;
import static dev.fathom.text.ControlTokens.THINK;
import static dev.fathom.text.ControlTokens.USER;

import dev.fathom.text.PromptOptions.Effort;

/**
 * Prompts of DeepSeek V4 (Flash and Pro), whose checkpoints carry an encoder in place of a
 * template.
 *
 * <p>Results of tools are blocks of a user message, in the order of the calls they answer; calls
 * are {@link Dsml#V4}. Earlier reasoning is dropped when a new user message comes, unless any
 * message offers tools. With thinking on the prompt starts with a text about the effort, which
 * differs between the revisions of the checkpoints.
 */
public final class DeepSeekV4Prompt implements PromptEncoder {

  /** Which text asks for which effort. */
  public enum Revision {
    /** V4-Flash and V4-Pro of April: only {@link Effort#MAX} has a text. */
    PREVIEW("deepseek-v4", "", DsmlTexts.EFFORT_ABSOLUTE),
    /** V4-Flash-0731 and V4-Pro-0813: {@link Effort#HIGH} has the preview's, MAX another. */
    FINAL("deepseek-v4-0731", DsmlTexts.EFFORT_ABSOLUTE, DsmlTexts.EFFORT_BEYOND);

    private final String family;
    private final String high;
    private final String max;

    Revision(String family, String high, String max) {
      this.family = family;
      this.high = high;
      this.max = max;
    }

    String textOf(Effort effort) {
      return switch (effort) {
        case DEFAULT, LOW -> "";
        case HIGH -> high;
        case MAX -> max;
      };
    }
  }

  private final Tokenizer tokenizer;
  private final Revision revision;

  /**
   * Creates an encoder.
   *
   * @throws dev.fathom.error.TextException (3004) if the tokenizer lacks a control token
   */
  public DeepSeekV4Prompt(Tokenizer tokenizer, Revision revision) {
    ControlTokens.require(
        tokenizer, revision.family, BEGIN, END, USER, ASSISTANT, THINK, END_THINK, DSML);
    this.tokenizer = tokenizer;
    this.revision = revision;
  }

  @Override
  public String family() {
    return revision.family;
  }

  @Override
  public String render(Conversation conversation, PromptOptions options) {
    PromptWriter.Rendering out = new PromptWriter.Rendering();
    write(conversation, options, out);
    return out.toString();
  }

  @Override
  public int[] encode(Conversation conversation, PromptOptions options) {
    requireTokens(conversation);
    PromptWriter.Encoding out = new PromptWriter.Encoding(tokenizer);
    write(conversation, options, out);
    return out.toIds();
  }

  @Override
  public OutputParser newParser(Conversation conversation, PromptOptions options) {
    boolean opened =
        PromptParts.isOpen(
            write(conversation, options, new PromptWriter.Rendering()), options.assistantPrefix());
    return new OutputParser(
        tokenizer,
        OutputGrammar.V4,
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

  /** Writes the prompt; returns whether it ends inside reasoning. */
  private boolean write(Conversation conversation, PromptOptions options, PromptWriter out) {
    out.control(BEGIN);
    if (options.thinking() && !conversation.messages().isEmpty()) {
      out.text(revision.textOf(options.effort()));
    }
    boolean open = new V4Turns(conversation, options, out).write();
    out.prefix(options.assistantPrefix());
    return open;
  }

  /** Checks the tokens of rare messages only where they occur. */
  private void requireTokens(Conversation conversation) {
    for (ChatMessage message : conversation.messages()) {
      if (message instanceof ChatMessage.ReminderMessage) {
        ControlTokens.require(tokenizer, revision.family, ControlTokens.REMINDER);
      } else if (message instanceof ChatMessage.TaskMessage asked) {
        ControlTokens.require(tokenizer, revision.family, asked.task().token());
      }
    }
  }
}
