package dev.fathom.text;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One message of a {@link Conversation}. All text in it is data: it never becomes a control token.
 */
public sealed interface ChatMessage {

  /**
   * Instructions for the whole conversation.
   *
   * @param content the text
   */
  record SystemMessage(String content) implements ChatMessage {}

  /**
   * What the user says.
   *
   * @param content the text
   */
  record UserMessage(String content) implements ChatMessage {}

  /**
   * An earlier answer of the model.
   *
   * @param content the text, null if there is none (a turn of tool calls only)
   * @param reasoning the model's reasoning, null if there is none; most families leave it out of
   *     later prompts
   * @param toolCalls the calls in the order in which the model made them, often empty
   */
  record AssistantMessage(
      @Nullable String content, @Nullable String reasoning, List<ToolCall> toolCalls)
      implements ChatMessage {

    /** Copies the list. */
    public AssistantMessage {
      toolCalls = List.copyOf(toolCalls);
    }

    /** Returns the content, empty if there is none. */
    String text() {
      return content == null ? "" : content;
    }
  }

  /**
   * What a tool answered.
   *
   * @param content the result, often JSON
   * @param toolCallId the call it answers, null if unknown; results stay in the order given
   */
  record ToolMessage(String content, @Nullable String toolCallId) implements ChatMessage {}

  /** Returns a system message. */
  static SystemMessage system(String content) {
    return new SystemMessage(content);
  }

  /** Returns a user message. */
  static UserMessage user(String content) {
    return new UserMessage(content);
  }

  /** Returns an answer without reasoning and calls. */
  static AssistantMessage assistant(String content) {
    return new AssistantMessage(content, null, List.of());
  }

  /** Returns a turn of tool calls without text. */
  static AssistantMessage calls(ToolCall... toolCalls) {
    return new AssistantMessage(null, null, List.of(toolCalls));
  }

  /** Returns a tool's result. */
  static ToolMessage toolResult(String content) {
    return new ToolMessage(content, null);
  }
}
