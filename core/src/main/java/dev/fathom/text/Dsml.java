package dev.fathom.text;

import static dev.fathom.text.ControlTokens.DSML;
import static dev.fathom.text.ControlTokens.END_THINK;
import static dev.fathom.text.ControlTokens.THINK;

import dev.fathom.error.Text;
import dev.fathom.json.Json;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.util.List;
import java.util.Map;

/**
 * The markup of tool calls of V3.2 and V4: elements whose names start with {@code ｜DSML｜}, one
 * {@code invoke} for each call, one {@code parameter} for each argument, strings unescaped.
 */
enum Dsml {
  /** V3.2: the calls stand in {@code function_calls}; arguments must be a JSON object. */
  V32("function_calls"),

  /** V4: the calls stand in {@code tool_calls}; arguments that are no JSON become one argument. */
  V4("tool_calls");

  /** Stands for {@code ｜DSML｜} in fixed texts. */
  private static final String MARK = "{D}";

  private static final List<String> MARKS = List.of(MARK, THINK, END_THINK);

  private final String block;

  Dsml(String block) {
    this.block = block;
  }

  /** Returns what opens the calls of an answer: with the empty line that belongs to it, without. */
  List<String> openings() {
    String tag = "<" + DSML + block + ">";
    return List.of("\n\n" + tag, tag);
  }

  /** Returns what ends the calls of an answer. */
  String closing() {
    return "</" + DSML + block + ">";
  }

  /** Returns how calls are written. */
  CallNotation notation() {
    return CallNotation.elements(block);
  }

  /** Writes a fixed text, in which {@code {D}} and the think tags are control tokens. */
  static void writeFixed(String text, PromptWriter out) {
    StringBuilder rest = new StringBuilder(text);
    Marks.Found found = Marks.first(rest, MARKS);
    while (found != null) {
      out.text(rest.substring(0, found.start()));
      out.control(found.mark().equals(MARK) ? DSML : found.mark());
      rest.delete(0, found.start() + found.mark().length());
      found = Marks.first(rest, MARKS);
    }
    out.text(rest.toString());
  }

  /** Writes the calls of an answer, with the empty line in front; nothing if there is none. */
  void writeCalls(List<ToolCall> calls, PromptWriter out) {
    if (calls.isEmpty()) {
      return;
    }
    out.text("\n\n<").control(DSML).text(block + ">");
    for (ToolCall call : calls) {
      out.text("\n<").control(DSML).text("invoke name=\"" + call.name() + "\">\n");
      writeArguments(arguments(call), out);
      out.text("\n</").control(DSML).text("invoke>");
    }
    out.text("\n</").control(DSML).text(block + ">");
  }

  private static void writeArguments(JsonObject arguments, PromptWriter out) {
    boolean first = true;
    for (Map.Entry<String, JsonValue> argument : arguments.fields().entrySet()) {
      boolean isString = argument.getValue() instanceof JsonString;
      out.text(first ? "<" : "\n<").control(DSML);
      out.text("parameter name=\"" + argument.getKey() + "\" string=\"" + isString + "\">");
      out.text(
          argument.getValue() instanceof JsonString s
              ? s.value()
              : JsonWriter.python(argument.getValue()));
      out.text("</").control(DSML).text("parameter>");
      first = false;
    }
  }

  private JsonObject arguments(ToolCall call) {
    String why = "the JSON value is no object";
    try {
      if (Json.parse(call.argumentsJson(), JsonLimits.DEFAULT) instanceof JsonObject object) {
        return object;
      }
    } catch (JsonException e) {
      if (this == V4) {
        return JsonObject.builder().put("arguments", new JsonString(call.argumentsJson())).build();
      }
      why = e.rule() + " at byte " + e.offset();
    }
    throw PromptParts.invalid(
        "Cannot render a call of the tool " + Text.quote(call.name()),
        "its arguments must be a JSON object: " + why,
        "pass the arguments as the model wrote them, such as {\"a\": 1}");
  }

  /** Writes what follows a system or developer text: an empty line and the tools. */
  void writeTools(List<ToolDefinition> tools, PromptWriter out) {
    if (tools.isEmpty()) {
      return;
    }
    out.text("\n\n");
    writeFixed(this == V32 ? DsmlTexts.V32_BEFORE_TOOLS : DsmlTexts.V4_BEFORE_TOOLS, out);
    for (int i = 0; i < tools.size(); i++) {
      out.text((i == 0 ? "" : "\n") + PromptParts.function(tools.get(i)));
    }
    out.text(this == V32 ? DsmlTexts.V32_AFTER_TOOLS : DsmlTexts.V4_AFTER_TOOLS);
  }

  /** Writes what follows the tools: an empty line and the schema of the answer. */
  static void writeResponseFormat(String schemaJson, PromptWriter out) {
    out.text("\n\n" + DsmlTexts.RESPONSE_FORMAT + PromptParts.responseFormat(schemaJson));
  }
}
