package dev.fathom.text;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.error.TextException;
import dev.fathom.json.Json;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.util.ArrayList;
import java.util.List;

/** What several prompt families share. */
final class PromptParts {
  private PromptParts() {}

  /** Joins the system messages, wherever they stand, with an empty line in between. */
  static String joinedSystem(Conversation conversation) {
    StringBuilder out = new StringBuilder();
    boolean first = true;
    for (ChatMessage message : conversation.messages()) {
      if (message instanceof ChatMessage.SystemMessage system) {
        out.append(first ? "" : "\n\n").append(system.content());
        first = false;
      }
    }
    return out.toString();
  }

  /** Returns the last system message, empty without one. */
  static String lastSystem(Conversation conversation) {
    String last = "";
    for (ChatMessage message : conversation.messages()) {
      last = message instanceof ChatMessage.SystemMessage system ? system.content() : last;
    }
    return last;
  }

  /**
   * Refuses what only V3.2 and V4 have a form for, and results without calls.
   *
   * @throws TextException (3005) naming it
   */
  static void requireCommon(Conversation conversation, String family) {
    if (conversation.responseFormatJson() != null) {
      throw noForm("a response format", family);
    }
    for (ChatMessage message : conversation.messages()) {
      if (message instanceof ChatMessage.ExtendedMessage) {
        throw noForm(message.getClass().getSimpleName(), family);
      }
    }
    requireCallsBeforeResults(conversation.messages());
  }

  /**
   * Checks that each result follows calls of which one has no result yet. What users and developers
   * say in between ends the calls; messages of the system and reminders do not.
   *
   * @throws TextException (3005) with the number of the first message that breaks this
   */
  static void requireCallsBeforeResults(List<ChatMessage> messages) {
    int unanswered = 0;
    for (int i = 0; i < messages.size(); i++) {
      switch (messages.get(i)) {
        case ChatMessage.AssistantMessage answer -> unanswered = answer.toolCalls().size();
        case ChatMessage.UserMessage ignored -> unanswered = 0;
        case ChatMessage.DeveloperMessage ignored -> unanswered = 0;
        case ChatMessage.ToolMessage ignored -> {
          if (unanswered-- == 0) {
            throw unasked(i);
          }
        }
        default -> {}
      }
    }
  }

  static TextException unasked(int message) {
    return invalid(
        "Cannot render a tool's result",
        "no call in front of it is without a result: message=" + message,
        "put results behind the calls they answer, one for each call");
  }

  /**
   * Refuses tools, calls and results.
   *
   * @throws TextException (3005) naming the first of them
   */
  static void requireNoTools(Conversation conversation, String family) {
    if (!conversation.tools().isEmpty()) {
      throw noForm("tools", family);
    }
    for (ChatMessage message : conversation.messages()) {
      if (message instanceof ChatMessage.ToolMessage) {
        throw noForm("a tool's result", family);
      }
      if (message instanceof ChatMessage.AssistantMessage answer && !answer.toolCalls().isEmpty()) {
        throw noForm("a tool call", family);
      }
    }
  }

  /** Returns the messages; one of the system in front to carry tools and response format. */
  static List<ChatMessage> withSystemForTools(Conversation conversation) {
    List<ChatMessage> messages = new ArrayList<>(conversation.messages());
    boolean needed = !conversation.tools().isEmpty() || conversation.responseFormatJson() != null;
    if (needed
        && (messages.isEmpty() || !(messages.getFirst() instanceof ChatMessage.SystemMessage))) {
      messages.addFirst(ChatMessage.system(""));
    }
    return messages;
  }

  /**
   * Refuses an empty developer message.
   *
   * @throws TextException (3005)
   */
  static void requireContent(ChatMessage.DeveloperMessage message) {
    if (message.content().isEmpty()) {
      throw invalid("Cannot render a developer message", "its content is empty", "give it one");
    }
  }

  static TextException noForm(String what, String family) {
    return invalid(
        "Cannot render " + what,
        "the prompt family " + family + " has no form for it",
        "leave it out, or write it into the text of a message");
  }

  static TextException invalid(String what, String why, String fix) {
    return new TextException(ErrorCode.CONVERSATION_INVALID, what, why, fix);
  }

  /**
   * Returns a response format's schema in Python's JSON style.
   *
   * @throws TextException (3005) if it is not JSON
   */
  static String responseFormat(String schemaJson) {
    try {
      return JsonWriter.python(Json.parse(schemaJson, JsonLimits.DEFAULT));
    } catch (JsonException e) {
      throw invalid(
          "Cannot render the response format",
          "it must be JSON: " + e.rule() + " at byte " + e.offset(),
          "pass a JSON schema such as {\"type\": \"object\", \"properties\": {}}");
    }
  }

  /** Returns the text behind the last occurrence of {@code mark}, all of it without one. */
  static String afterLast(String text, String mark) {
    int at = text.lastIndexOf(mark);
    return at < 0 ? text : text.substring(at + mark.length());
  }

  /** Returns the text behind the first occurrence of {@code mark}, all of it without one. */
  static String afterFirst(String text, String mark) {
    int at = text.indexOf(mark);
    return at < 0 ? text : text.substring(at + mark.length());
  }

  /**
   * Returns a tool's parameter schema in Python's JSON style.
   *
   * @throws TextException (3005) if it is not a JSON object
   */
  static String parameters(ToolDefinition tool) {
    return JsonWriter.python(schema(tool));
  }

  /**
   * Returns a tool as the function object of its API form, in Python's JSON style.
   *
   * @throws TextException (3005) if the parameters are not a JSON object
   */
  static String function(ToolDefinition tool) {
    return JsonWriter.python(
        JsonObject.builder()
            .put("name", tool.name())
            .put("description", tool.description())
            .put("parameters", schema(tool))
            .build());
  }

  private static JsonValue schema(ToolDefinition tool) {
    try {
      JsonValue value = Json.parse(tool.parametersJson(), JsonLimits.DEFAULT);
      if (value instanceof JsonObject) {
        return value;
      }
    } catch (JsonException e) {
      throw badSchema(tool, e.rule() + " at byte " + e.offset());
    }
    throw badSchema(tool, "the JSON value is no object");
  }

  private static TextException badSchema(ToolDefinition tool, String why) {
    return new TextException(
        ErrorCode.CONVERSATION_INVALID,
        "Cannot render the tool " + Text.quote(tool.name()),
        "its parameters must be a JSON object: " + why,
        "pass a JSON schema such as {\"type\": \"object\", \"properties\": {}}");
  }

  /**
   * Returns whether the model starts inside reasoning: as the last tag of the answer's start says,
   * without one as the prompt does.
   */
  static boolean isOpen(boolean prompt, String assistantPrefix) {
    int opened = assistantPrefix.lastIndexOf(ControlTokens.THINK);
    int closed = assistantPrefix.lastIndexOf(ControlTokens.END_THINK);
    return opened == closed ? prompt : opened > closed;
  }

  /** Returns whether the last message other than system messages is a tool's result. */
  static boolean endsInToolResult(Conversation conversation) {
    List<ChatMessage> messages = conversation.messages();
    for (int i = messages.size() - 1; i >= 0; i--) {
      if (!(messages.get(i) instanceof ChatMessage.SystemMessage)) {
        return messages.get(i) instanceof ChatMessage.ToolMessage;
      }
    }
    return false;
  }
}
