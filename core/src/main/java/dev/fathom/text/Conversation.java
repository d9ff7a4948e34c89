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

  /**
   * Checks that there is something to answer: behind messages of the system, the last message must
   * not be an answer itself.
   *
   * @throws dev.fathom.error.TextException (3005) if it is, or if there are only system messages
   */
  public void requireQuestion() {
    for (int i = messages.size() - 1; i >= 0; i--) {
      if (messages.get(i) instanceof ChatMessage.AssistantMessage) {
        throw PromptParts.invalid(
            "The conversation cannot be answered",
            "the last message must not be an answer of the model: message=" + i,
            "add a user's message or the results of its calls, or give the start of an answer as"
                + " assistantPrefix");
      }
      if (!(messages.get(i) instanceof ChatMessage.SystemMessage)) {
        return;
      }
    }
    throw PromptParts.invalid(
        "The conversation cannot be answered",
        "there must be a message that is not the system's: messages=" + messages.size(),
        "add a user's message");
  }

  /** Returns the same conversation with a JSON schema that answers must follow. */
  public Conversation withResponseFormat(String schemaJson) {
    return new Conversation(messages, tools, schemaJson);
  }
}
