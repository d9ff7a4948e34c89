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
   * @param toolCallId the call it answers, null if unknown; V4 orders results by it, other families
   *     keep the order given
   */
  record ToolMessage(String content, @Nullable String toolCallId) implements ChatMessage {}

  /** What only V3.2 and V4 have a form for; every other family refuses it. */
  sealed interface ExtendedMessage extends ChatMessage {}

  /**
   * A question with instructions of the developer, which takes the place of a user's message.
   *
   * @param content the text, not empty
   * @param tools tools that this message offers, often empty
   * @param responseFormatJson JSON schema that the answer must follow, null for none
   */
  record DeveloperMessage(
      String content, List<ToolDefinition> tools, @Nullable String responseFormatJson)
      implements ExtendedMessage {

    /** Copies the list. */
    public DeveloperMessage {
      tools = List.copyOf(tools);
    }
  }

  /**
   * A reminder in front of the newest message or behind it: V4 only.
   *
   * @param content the text, such as today's date
   */
  record ReminderMessage(String content) implements ExtendedMessage {}

  /**
   * Asks for a task other than an answer to the message in front of it: V4 only.
   *
   * @param task which one
   */
  record TaskMessage(Task task) implements ExtendedMessage {}

  /** The short tasks that V4 was trained on, each with a control token of its own. */
  enum Task {
    /** What to do next; the only one that follows the generation prompt. */
    ACTION("<｜action｜>"),
    /** Search queries. */
    QUERY("<｜query｜>"),
    /** How authoritative sources have to be. */
    AUTHORITY("<｜authority｜>"),
    /** The field of knowledge. */
    DOMAIN("<｜domain｜>"),
    /** A title of the conversation, asked for behind an answer. */
    TITLE("<｜title｜>"),
    /** Whether to read a page. */
    READ_URL("<｜read_url｜>");

    private final String token;

    Task(String token) {
      this.token = token;
    }

    String token() {
      return token;
    }
  }

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
