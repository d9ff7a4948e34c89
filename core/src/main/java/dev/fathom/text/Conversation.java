package dev.fathom.text;

import java.util.List;

/**
 * What a prompt is made of: the messages so far and the tools on offer.
 *
 * @param messages in order
 * @param tools in order, often empty
 */
public record Conversation(List<ChatMessage> messages, List<ToolDefinition> tools) {

  /** Copies the lists. */
  public Conversation {
    messages = List.copyOf(messages);
    tools = List.copyOf(tools);
  }

  /** Returns a conversation without tools. */
  public static Conversation of(ChatMessage... messages) {
    return new Conversation(List.of(messages), List.of());
  }

  /** Returns the same messages with these tools. */
  public Conversation withTools(ToolDefinition... offered) {
    return new Conversation(messages, List.of(offered));
  }
}
