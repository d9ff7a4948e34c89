package dev.fathom.text;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a prompt is made of: the messages so far and the tools on offer.
 *
 * @param messages in order
 * @param tools in order, often empty
 * @param responseFormatJson JSON schema that answers must follow, written into the prompt of V3.2
 *     and V4 and refused by the other families; null for none
 */
public record Conversation(
    List<ChatMessage> messages, List<ToolDefinition> tools, @Nullable String responseFormatJson) {

  /** Copies the lists. */
  public Conversation {
    messages = List.copyOf(messages);
    tools = List.copyOf(tools);
  }

  /** Creates a conversation without a response format. */
  public Conversation(List<ChatMessage> messages, List<ToolDefinition> tools) {
    this(messages, tools, null);
  }

  /** Returns a conversation without tools. */
  public static Conversation of(ChatMessage... messages) {
    return new Conversation(List.of(messages), List.of());
  }

  /** Returns the same messages with these tools. */
  public Conversation withTools(ToolDefinition... offered) {
    return new Conversation(messages, List.of(offered), responseFormatJson);
  }

  /** Returns the same conversation with a JSON schema that answers must follow. */
  public Conversation withResponseFormat(String schemaJson) {
    return new Conversation(messages, tools, schemaJson);
  }
}
