package dev.fathom.text;

import dev.fathom.json.Json;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import org.jspecify.annotations.Nullable;

/** How a family writes a call between {@code <｜tool▁call▁begin｜>} and its end. */
enum ToolCallSyntax {
  /** {@code function<｜tool▁sep｜>NAME}, then the arguments in a fenced json block: V3 and R1. */
  FENCED {
    @Override
    void write(ToolCall call, PromptWriter out) {
      out.control(ControlTokens.CALL_BEGIN)
          .text(TYPE)
          .control(ControlTokens.SEPARATOR)
          .text(call.name() + OPEN_FENCE + call.argumentsJson() + CLOSE_FENCE)
          .control(ControlTokens.CALL_END);
    }

    @Override
    @Nullable ToolCall parse(String body) {
      int separator = body.indexOf(ControlTokens.SEPARATOR);
      if (separator < 0 || !isFunction(body.substring(0, separator).strip())) {
        return null;
      }
      String call = body.substring(separator + SEPARATOR_LEN).stripTrailing();
      int fence = call.indexOf(OPEN_FENCE);
      int arguments = fence + OPEN_FENCE.length();
      if (fence < 0 || !call.startsWith(CLOSE_FENCE, call.length() - CLOSE_FENCE.length())) {
        return null;
      }
      int end = call.length() - CLOSE_FENCE.length();
      return end < arguments
          ? null
          : checked(call.substring(0, fence), call.substring(arguments, end));
    }
  },

  /** {@code NAME<｜tool▁sep｜>ARGUMENTS}: V3.1 and later. */
  BARE {
    @Override
    void write(ToolCall call, PromptWriter out) {
      out.control(ControlTokens.CALL_BEGIN)
          .text(call.name())
          .control(ControlTokens.SEPARATOR)
          .text(call.argumentsJson())
          .control(ControlTokens.CALL_END);
    }

    @Override
    @Nullable ToolCall parse(String body) {
      int separator = body.indexOf(ControlTokens.SEPARATOR);
      return separator < 0
          ? null
          : checked(body.substring(0, separator), body.substring(separator + SEPARATOR_LEN));
    }
  };

  /** The only type of call; models leave it out at times. */
  private static final String TYPE = "function";

  private static final String OPEN_FENCE = "\n```json\n";
  private static final String CLOSE_FENCE = "\n```";
  private static final int SEPARATOR_LEN = ControlTokens.SEPARATOR.length();

  /** Writes a call with the tokens around it. */
  abstract void write(ToolCall call, PromptWriter out);

  /** Reads what stands between the tokens around a call; null if it is malformed. */
  abstract @Nullable ToolCall parse(String body);

  private static boolean isFunction(String type) {
    return type.isEmpty() || type.equals(TYPE);
  }

  /** Returns the call if it has a name and its arguments are a JSON object, else null. */
  static @Nullable ToolCall checked(String name, String arguments) {
    if (name.isBlank()) {
      return null;
    }
    try {
      boolean isObject = Json.parse(arguments, JsonLimits.DEFAULT) instanceof JsonObject;
      return isObject ? new ToolCall(name.strip(), arguments.strip()) : null;
    } catch (JsonException e) {
      return null;
    }
  }
}
