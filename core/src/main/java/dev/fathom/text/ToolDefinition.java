package dev.fathom.text;

/**
 * A tool that the model may call.
 *
 * @param name the name it is called by
 * @param description what it does, for the model
 * @param parametersJson JSON schema of the arguments as text; rendered in Python's style
 * @param strict whether calls are held to the schema: then a call of this conversation names one of
 *     its tools, is complete, and has arguments that are valid
 */
public record ToolDefinition(
    String name, String description, String parametersJson, boolean strict) {

  /** Creates a tool whose calls are as the model writes them. */
  public ToolDefinition(String name, String description, String parametersJson) {
    this(name, description, parametersJson, false);
  }

  /** Returns the same tool with calls that are held to its schema. */
  public ToolDefinition strictly() {
    return new ToolDefinition(name, description, parametersJson, true);
  }
}
