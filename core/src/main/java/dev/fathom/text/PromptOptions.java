package dev.fathom.text;

/**
 * How a conversation is rendered.
 *
 * @param thinking whether the model is asked to reason first; families without the switch ignore it
 * @param generationPrompt whether the prompt ends where the model's answer starts
 * @param assistantPrefix text with which the answer starts, put behind the generation prompt; with
 *     thinking on it starts the reasoning. Empty for none, which it must be without {@code
 *     generationPrompt}
 */
public record PromptOptions(boolean thinking, boolean generationPrompt, String assistantPrefix) {

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

  /** Returns these options with thinking on or off. */
  public PromptOptions withThinking(boolean on) {
    return new PromptOptions(on, generationPrompt, assistantPrefix);
  }

  /** Returns these options with a start of the answer. */
  public PromptOptions withAssistantPrefix(String prefix) {
    return new PromptOptions(thinking, generationPrompt, prefix);
  }
}
