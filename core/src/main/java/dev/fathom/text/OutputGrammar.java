package dev.fathom.text;

/**
 * What a family's answers are made of.
 *
 * @param thinkTags whether {@code <think>} and {@code </think>} mark reasoning
 * @param newlinesAroundTags whether a line feed behind {@code <think>} and in front of {@code
 *     </think>}, and two behind it, belong to the tags
 * @param calls how calls are written
 */
record OutputGrammar(boolean thinkTags, boolean newlinesAroundTags, ToolCallSyntax calls) {
  static final OutputGrammar V3 = new OutputGrammar(false, false, ToolCallSyntax.FENCED);
  static final OutputGrammar R1 = new OutputGrammar(true, true, ToolCallSyntax.FENCED);
  static final OutputGrammar V31 = new OutputGrammar(true, false, ToolCallSyntax.BARE);
}
