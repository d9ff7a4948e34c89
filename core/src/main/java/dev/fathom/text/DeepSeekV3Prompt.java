package dev.fathom.text;

import static dev.fathom.text.ControlTokens.ASSISTANT;
import static dev.fathom.text.ControlTokens.BEGIN;
import static dev.fathom.text.ControlTokens.CALLS_BEGIN;
import static dev.fathom.text.ControlTokens.CALLS_END;
import static dev.fathom.text.ControlTokens.CALL_BEGIN;
import static dev.fathom.text.ControlTokens.CALL_END;
import static dev.fathom.text.ControlTokens.END;
import static dev.fathom.text.ControlTokens.OUTPUTS_BEGIN;
import static dev.fathom.text.ControlTokens.OUTPUTS_END;
import static dev.fathom.text.ControlTokens.OUTPUT_BEGIN;
import static dev.fathom.text.ControlTokens.OUTPUT_END;
import static dev.fathom.text.ControlTokens.SEPARATOR;
import static dev.fathom.text.ControlTokens.USER;

/**
 * Prompts of DeepSeek V2.5, V3 and V3-0324, which do not reason in tags.
 *
 * <p>{@code BEGIN system USER text ASSISTANT answer END ...}; calls are fenced ({@link
 * ToolCallSyntax#FENCED}), results follow in one block, and the answer to results has no {@code
 * ASSISTANT}. Of several system messages V2.5 takes the last, V3 all. The published template has no
 * form for tool definitions: the layout here is the one of the V2.5 model card with each function
 * on one line.
 */
public final class DeepSeekV3Prompt implements PromptEncoder {

  /** Which text a conversation with tool calls becomes. */
  public enum Revision {
    /** The grammar as it was trained on: every round of calls is opened, closed and ended. */
    CORRECTED,
    /** As {@link #CORRECTED}, with the last system message only: V2.5. */
    V25,
    /**
     * What the template published with V3 renders, byte for byte: a single call is not closed,
     * later rounds are not opened, tools are not described, text beside calls is dropped.
     */
    ORIGINAL
  }

  private final Tokenizer tokenizer;
  private final Revision revision;

  /**
   * Creates an encoder.
   *
   * @throws dev.fathom.error.TextException (3004) if the tokenizer lacks a control token
   */
  public DeepSeekV3Prompt(Tokenizer tokenizer, Revision revision) {
    ControlTokens.require(
        tokenizer, "deepseek-v3", BEGIN, END, USER, ASSISTANT, CALLS_BEGIN, CALLS_END, CALL_BEGIN);
    ControlTokens.require(
        tokenizer, "deepseek-v3", CALL_END, SEPARATOR, OUTPUTS_BEGIN, OUTPUTS_END, OUTPUT_BEGIN);
    ControlTokens.require(tokenizer, "deepseek-v3", OUTPUT_END);
    this.tokenizer = tokenizer;
    this.revision = revision;
  }

  @Override
  public String family() {
    return switch (revision) {
      case CORRECTED -> "deepseek-v3";
      case V25 -> "deepseek-v2.5";
      case ORIGINAL -> "deepseek-v3-original";
    };
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
    return new OutputParser(tokenizer, OutputGrammar.V3, OutputParser.Start.CONTENT);
  }

  @Override
  public int beginId() {
    return tokenizer.tokenId(BEGIN);
  }

  @Override
  public int endId() {
    return tokenizer.tokenId(END);
  }

  private void write(Conversation conversation, PromptOptions options, PromptWriter out) {
    PromptParts.requireCommon(conversation, family());
    boolean inOutputs;
    if (revision == Revision.ORIGINAL) {
      inOutputs = new V3OriginalTurns(out).write(conversation);
    } else {
      boolean all = revision == Revision.CORRECTED;
      String system =
          all ? PromptParts.joinedSystem(conversation) : PromptParts.lastSystem(conversation);
      V3Turns.writeSystem(system, conversation.tools(), out);
      inOutputs = V3Turns.write(conversation, text -> text, out);
    }
    if (options.generationPrompt() && !inOutputs) {
      out.control(ASSISTANT);
    }
    out.prefix(options.assistantPrefix());
  }
}
