package dev.fathom.text;

/**
 * A call of a tool by the model.
 *
 * @param id names the call for its result; no DeepSeek format carries it, empty if unknown
 * @param name the tool
 * @param argumentsJson the arguments, a JSON object as text, rendered as it is
 */
public record ToolCall(String id, String name, String argumentsJson) {

  /** Creates a call without an id. */
  public ToolCall(String name, String argumentsJson) {
    this("", name, argumentsJson);
  }
}
