package dev.fathom;

import dev.fathom.text.ChatMessage;
import dev.fathom.text.PromptOptions.Effort;
import dev.fathom.text.ToolDefinition;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a generation continues: a conversation, raw text, a text with a hole, or token ids. */
public sealed interface Prompt {

  /** Returns a conversation that the model's prompt format renders. */
  static Chat chat(ChatMessage... messages) {
    return chat(List.of(messages));
  }

  /** Returns a conversation that the model's prompt format renders. */
  static Chat chat(List<ChatMessage> messages) {
    return new Chat(messages, List.of(), false, "", Effort.DEFAULT, false, null);
  }

  /**
   * Returns raw text: the beginning-of-sentence token, then the text. No control token comes out of
   * it.
   */
  static Text text(String text) {
    return new Text(text);
  }

  /**
   * Returns a text with a hole, for models with the tokens for it: Coder, Coder-V2, V2.5, V3 and
   * later. The answer is what stands in the hole. No control token comes out of the texts.
   *
   * @param prefix what stands in front of the hole, often empty
   * @param suffix what stands behind it, often empty
   */
  static FillInTheMiddle fillInTheMiddle(String prefix, String suffix) {
    return new FillInTheMiddle(prefix, suffix);
  }

  /** Returns token ids, taken as they are; nothing is put in front. */
  static Tokens tokens(int... ids) {
    return new Tokens(ids);
  }

  /**
   * A conversation that can be answered: its last message is a user's, a tool's result, or what
   * only some families have ({@link ChatMessage.ExtendedMessage}). All text of messages and tools
   * is data and never becomes a control token.
   *
   * @param messages 1 to 10 000 messages
   * @param tools tools that the model may call
   * @param thinking whether the model is asked to reason first; R1 always does, V2, V2.5, V3 and
   *     Coder never
   * @param assistantPrefix text that the answer starts with, empty for none; see {@link
   *     #assistantPrefix(String)}
   * @param effort how long the model is asked to reason
   * @param keepReasoning whether earlier reasoning stays in the prompt
   * @param responseFormat JSON schema that the prompt shows the model, null for none
   */
  record Chat(
      List<ChatMessage> messages,
      List<ToolDefinition> tools,
      boolean thinking,
      String assistantPrefix,
      Effort effort,
      boolean keepReasoning,
      @Nullable String responseFormat)
      implements Prompt {

    private static final int MAX_MESSAGES = 10_000;

    /**
     * Copies the lists.
     *
     * @throws dev.fathom.error.InvalidRequestException if there are no messages or too many
     */
    public Chat {
      messages = List.copyOf(messages);
      tools = List.copyOf(tools);
      Checks.inRange("messages.size", messages.size(), 1, MAX_MESSAGES);
    }

    /** Returns the same conversation with thinking on or off. */
    public Chat thinking(boolean on) {
      return new Chat(messages, tools, on, assistantPrefix, effort, keepReasoning, responseFormat);
    }

    /** Returns the same conversation with these tools. */
    public Chat tools(List<ToolDefinition> offered) {
      return new Chat(
          messages, offered, thinking, assistantPrefix, effort, keepReasoning, responseFormat);
    }

    /** Returns the same conversation with these tools. */
    public Chat tools(ToolDefinition first, ToolDefinition... more) {
      List<ToolDefinition> offered = new ArrayList<>(more.length + 1);
      offered.add(first);
      offered.addAll(List.of(more));
      return tools(offered);
    }

    /**
     * Returns the same conversation with an answer that starts with this text, which is not
     * repeated in the result. With thinking on it starts the reasoning; the tags {@code <think>}
     * and {@code </think>} in it are control tokens where the model has them, so it must come from
     * the application and not from a user.
     */
    public Chat assistantPrefix(String prefix) {
      return new Chat(messages, tools, thinking, prefix, effort, keepReasoning, responseFormat);
    }

    /**
     * Returns the same conversation with another effort. V4 with thinking has texts for it, which
     * differ between its checkpoints; all else ignores it.
     */
    public Chat effort(Effort wanted) {
      return new Chat(
          messages, tools, thinking, assistantPrefix, wanted, keepReasoning, responseFormat);
    }

    /**
     * Returns the same conversation with earlier reasoning kept or dropped, where the family leaves
     * a choice: V4 drops it when a new user message comes unless tools are offered. Messages of
     * developers are kept with it in V3.2 and V4. Other families have their own rule and ignore
     * this.
     */
    public Chat keepReasoning(boolean keep) {
      return new Chat(messages, tools, thinking, assistantPrefix, effort, keep, responseFormat);
    }

    /**
     * Returns the same conversation with a JSON schema that the prompt tells the model to follow,
     * in the words of V3.2 and V4; other families refuse it. It binds the model by words alone:
     * tokens are not constrained by it.
     *
     * @param schemaJson the schema as JSON text, null for none
     */
    public Chat responseFormat(@Nullable String schemaJson) {
      return new Chat(
          messages, tools, thinking, assistantPrefix, effort, keepReasoning, schemaJson);
    }
  }

  /**
   * A text with a hole.
   *
   * @param prefix what stands in front of the hole
   * @param suffix what stands behind it
   */
  record FillInTheMiddle(String prefix, String suffix) implements Prompt {}

  /**
   * Raw text.
   *
   * @param text of any length; the context limits its tokens
   */
  record Text(String text) implements Prompt {}

  /** Token ids. */
  final class Tokens implements Prompt {

    private final int[] ids;

    private Tokens(int[] ids) {
      this.ids = ids.clone();
    }

    /** Returns a copy of the ids. */
    public int[] ids() {
      return ids.clone();
    }
  }
}
