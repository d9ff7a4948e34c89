package dev.fathom.text;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What a family's answers are made of.
 *
 * @param thinkTags whether {@code <think>} and {@code </think>} mark reasoning
 * @param newlinesAroundTags whether a line feed behind {@code <think>} and in front of {@code
 *     </think>}, and two behind it, belong to the tags
 * @param openings marks that open calls, none for families without calls
 * @param calls makes readers of what follows such a mark
 * @param notation how calls are written, null for families without
 */
record OutputGrammar(
    boolean thinkTags,
    boolean newlinesAroundTags,
    List<String> openings,
    Supplier<CallBlock> calls,
    @Nullable CallNotation notation) {

  private static final List<String> FRAME = List.of(ControlTokens.CALLS_BEGIN);

  /** Text only. */
  static final OutputGrammar PLAIN = framed(false, false, ToolCallSyntax.BARE).withoutCalls();

  static final OutputGrammar V3 = framed(false, false, ToolCallSyntax.FENCED);
  static final OutputGrammar R1 = framed(true, true, ToolCallSyntax.FENCED);
  static final OutputGrammar V31 = framed(true, false, ToolCallSyntax.BARE);
  static final OutputGrammar V32 = dsml(Dsml.V32);
  static final OutputGrammar V4 = dsml(Dsml.V4);

  private static OutputGrammar framed(
      boolean thinkTags, boolean newlinesAroundTags, ToolCallSyntax syntax) {
    return new OutputGrammar(
        thinkTags,
        newlinesAroundTags,
        FRAME,
        () -> new FramedCallBlock(syntax),
        syntax == ToolCallSyntax.BARE ? CallNotation.BARE : CallNotation.FENCED);
  }

  private static OutputGrammar dsml(Dsml dialect) {
    return new OutputGrammar(
        true, false, dialect.openings(), () -> new DsmlCallBlock(dialect), dialect.notation());
  }

  private OutputGrammar withoutCalls() {
    return new OutputGrammar(thinkTags, newlinesAroundTags, List.of(), calls, null);
  }

  /** Returns what may interrupt content. */
  List<String> contentMarks() {
    return thinkTags ? with(ControlTokens.THINK) : openings;
  }

  /** Returns what may interrupt reasoning. */
  List<String> reasoningMarks() {
    return newlinesAroundTags
        ? with("\n" + ControlTokens.END_THINK, ControlTokens.END_THINK)
        : with(ControlTokens.END_THINK);
  }

  private List<String> with(String... tags) {
    List<String> marks = new ArrayList<>(List.of(tags));
    marks.addAll(openings);
    return List.copyOf(marks);
  }
}
