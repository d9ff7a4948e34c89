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
        "cannot render the tool " + Text.quote(tool.name()),
        "its parameters must be a JSON object: " + why,
        "pass a JSON schema such as {\"type\": \"object\", \"properties\": {}}");
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
