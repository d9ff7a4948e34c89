package dev.fathom.text;

/**
 * How a conversation is rendered.
 *
 * @param thinking whether the model is asked to reason first; families without the switch ignore it
 * @param generationPrompt whether the prompt ends where the model's answer starts
 * @param assistantPrefix text with which the answer starts, put behind the generation prompt; with
 *     thinking on it starts the reasoning. Its think tags are control tokens where the tokenizer
 *     has them; all else of it is text. Empty for none, which it must be without {@code
 *     generationPrompt}
 * @param effort how long the model is asked to reason; only V4 has texts for it
 * @param keepReasoning whether V3.2 and V4 keep what they drop of earlier rounds by default: V4
 *     reasoning, both messages of developers. With tools V4 keeps it anyway
 */
public record PromptOptions(
    boolean thinking,
    boolean generationPrompt,
    String assistantPrefix,
    Effort effort,
    boolean keepReasoning) {

  /** How long the model is asked to reason. */
  public enum Effort {
    /** The prompt says nothing about it. */
    DEFAULT,
    /** Little. */
    LOW,
    /** Much. */
    HIGH,
    /** As much as it takes; wants a context of 384 Ki tokens. */
    MAX
  }

  /** Without thinking, ready to generate. */
  public static final PromptOptions CHAT = new PromptOptions(false, true, "");

  /** With thinking, ready to generate. */
  public static final PromptOptions THINKING = new PromptOptions(true, true, "");

  /** Without thinking and without a generation prompt: the conversation as it was. */
  public static final PromptOptions TRANSCRIPT = new PromptOptions(false, false, "");

  /** Checks the options. */
  public PromptOptions {
    if (!generationPrompt && !assistantPrefix.isEmpty()) {
      throw new IllegalArgumentException(
          "must be empty without generationPrompt: assistantPrefix.length="
              + assistantPrefix.length());
    }
  }

  /** Creates options with the default effort. */
  public PromptOptions(boolean thinking, boolean generationPrompt, String assistantPrefix) {
    this(thinking, generationPrompt, assistantPrefix, Effort.DEFAULT, false);
  }

  /** Returns these options with thinking on or off. */
  public PromptOptions withThinking(boolean on) {
    return new PromptOptions(on, generationPrompt, assistantPrefix, effort, keepReasoning);
  }

  /** Returns these options with a start of the answer. */
  public PromptOptions withAssistantPrefix(String prefix) {
    return new PromptOptions(thinking, generationPrompt, prefix, effort, keepReasoning);
  }

  /** Returns these options with another effort. */
  public PromptOptions withEffort(Effort wanted) {
    return new PromptOptions(thinking, generationPrompt, assistantPrefix, wanted, keepReasoning);
  }

  /** Returns these options with earlier reasoning kept or dropped. */
  public PromptOptions withKeepReasoning(boolean keep) {
    return new PromptOptions(thinking, generationPrompt, assistantPrefix, effort, keep);
  }
}
