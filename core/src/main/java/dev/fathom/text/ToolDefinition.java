package dev.fathom.text;

/**
 * A tool that the model may call.
 *
 * @param name the name it is called by
 * @param description what it does, for the model
 * @param parametersJson JSON schema of the arguments as text; rendered in Python's style
 */
public record ToolDefinition(String name, String description, String parametersJson) {}
