package dev.fathom;

import dev.fathom.text.ChatMessage;
import dev.fathom.text.ToolDefinition;
import java.util.ArrayList;
import java.util.List;

/** What a generation continues: a conversation, raw text, or token ids. */
public sealed interface Prompt {

  /** Returns a conversation that the model's prompt format renders. */
  static Chat chat(ChatMessage... messages) {
    return chat(List.of(messages));
  }

  /** Returns a conversation that the model's prompt format renders. */
  static Chat chat(List<ChatMessage> messages) {
    return new Chat(messages, List.of(), false, "");
  }

  /**
   * Returns raw text: the beginning-of-sentence token, then the text. No control token comes out of
   * it.
   */
  static Text text(String text) {
    return new Text(text);
  }

  /** Returns token ids, taken as they are; nothing is put in front. */
  static Tokens tokens(int... ids) {
    return new Tokens(ids);
  }

  /**
   * A conversation.
   *
   * @param messages 1 to 10 000 messages
   * @param tools tools that the model may call
   * @param thinking whether the model is asked to reason first
   * @param assistantPrefix text that the answer starts with, empty for none
   */
  record Chat(
      List<ChatMessage> messages,
      List<ToolDefinition> tools,
      boolean thinking,
      String assistantPrefix)
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
      return new Chat(messages, tools, on, assistantPrefix);
    }

    /** Returns the same conversation with these tools. */
    public Chat tools(List<ToolDefinition> offered) {
      return new Chat(messages, offered, thinking, assistantPrefix);
    }

    /** Returns the same conversation with these tools. */
    public Chat tools(ToolDefinition first, ToolDefinition... more) {
      List<ToolDefinition> offered = new ArrayList<>(more.length + 1);
      offered.add(first);
      offered.addAll(List.of(more));
      return tools(offered);
    }

    /** Returns the same conversation with an answer that starts with this text. */
    public Chat assistantPrefix(String prefix) {
      return new Chat(messages, tools, thinking, prefix);
    }
  }

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
