package dev.fathom.text;

/** The fixed texts of V3.2's and V4's prompts; {D} stands for the token {@code ｜DSML｜}. */
final class DsmlTexts {
  static final String RESPONSE_FORMAT =
      "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n";

  static final String V32_BEFORE_TOOLS =
      """
      ## Tools

      You have access to a set of tools you can use to answer the user's question.
      You can invoke functions by writing a "<{D}function_calls>" block like the following as \
      part of your reply to the user:
      <{D}function_calls>
      <{D}invoke name="$FUNCTION_NAME">
      <{D}parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</{D}parameter>
      ...
      </{D}invoke>
      <{D}invoke name="$FUNCTION_NAME2">
      ...
      </{D}invoke>
      </{D}function_calls>

      String and scalar parameters should be specified as is without any escaping or quotes, \
      while lists and objects should use JSON format. The "string" attribute should be set to \
      "true" for string type parameters and "false" for other types (numbers, booleans, arrays, \
      objects).

      If the thinking_mode is enabled, then after function results you should strongly consider \
      outputting a thinking block. Here is an example:

      <{D}function_calls>
      ...
      </{D}function_calls>

      <function_results>
      ...
      </function_results>

      <think>...thinking about results</think>

      Here are the functions available in JSONSchema format:
      <functions>
      """;

  static final String V32_AFTER_TOOLS = "\n</functions>\n";

  static final String V4_BEFORE_TOOLS =
      """
      ## Tools

      You have access to a set of tools to help answer the user's question. You can invoke tools \
      by writing a "<{D}tool_calls>" block like the following:

      <{D}tool_calls>
      <{D}invoke name="$TOOL_NAME">
      <{D}parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</{D}parameter>
      ...
      </{D}invoke>
      <{D}invoke name="$TOOL_NAME2">
      ...
      </{D}invoke>
      </{D}tool_calls>

      String parameters should be specified as is and set `string="true"`. For all other types \
      (numbers, booleans, arrays, objects), pass the value in JSON format and set \
      `string="false"`.

      If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning \
      inside <think>...</think> BEFORE any tool calls or final response.

      Otherwise, output directly after </think> with tool calls or final response.

      ### Available Tool Schemas

      """;

  static final String V4_AFTER_TOOLS =
      "\n\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke tool"
          + " calls.\n";

  /** Of the preview's highest effort and of the later revisions' high one. */
  static final String EFFORT_ABSOLUTE =
      """
      Reasoning Effort: Absolute maximum with no shortcuts permitted.
      You MUST be very thorough in your thinking and comprehensively decompose the problem to \
      resolve the root cause, rigorously stress-testing your logic against all potential paths, \
      edge cases, and adversarial scenarios.
      Explicitly write out your entire deliberation process, documenting every intermediate step, \
      considered alternative, and rejected hypothesis to ensure absolutely no assumption is left \
      unchecked.

      """;

  /** Of the later revisions' highest effort. */
  static final String EFFORT_BEYOND =
      """
      Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.
      You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: \
      exhaustively decompose the problem into its most fundamental components, trace every causal \
      chain to its root, and resolve the underlying cause rather than any surface symptom.
      Do not stop reasoning until you have independently verified the solution from multiple \
      angles and are certain that no assumption remains unchecked and no error remains \
      undiscovered.

      """;

  private DsmlTexts() {}
}
