package dev.fathom.text;

import static dev.fathom.text.ControlTokens.CALLS_BEGIN;
import static dev.fathom.text.ControlTokens.CALLS_END;
import static dev.fathom.text.ControlTokens.CALL_BEGIN;
import static dev.fathom.text.ControlTokens.CALL_END;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** Calls between {@code <｜tool▁calls▁begin｜>} and {@code <｜tool▁calls▁end｜>}: V3, R1, V3.1. */
final class FramedCallBlock extends CallBlock {
  private static final List<String> IN_CALL = List.of(CALL_END, CALL_BEGIN, CALLS_END, CALLS_BEGIN);

  private final ToolCallSyntax syntax;

  /** Where the search for the end of the current call goes on. */
  private int searched;

  FramedCallBlock(ToolCallSyntax syntax) {
    super(CALL_BEGIN, CALLS_END);
    this.syntax = syntax;
  }

  @Override
  void reset() {
    searched = 0;
  }

  @Override
  Step call(StringBuilder pending, int from, boolean last) {
    int bodyStart = from + CALL_BEGIN.length();
    Marks.Found found = firstFrom(pending, Math.max(bodyStart, searched));
    int end = found == null ? pending.length() : found.start() + found.mark().length();
    if (end > MAX_CALL_LEN) {
      return giveUp(pending, MAX_CALL_LEN);
    }
    if (found == null) {
      searched = Math.max(bodyStart, pending.length() - CALLS_BEGIN.length());
      return last ? giveUp(pending, pending.length()) : WAIT;
    }
    if (!found.mark().equals(CALL_END)) {
      return nested(pending, found);
    }
    ToolCall parsed = syntax.parse(pending.substring(bodyStart, found.start()));
    return parsed == null ? malformed(pending, end, false) : called(end, parsed);
  }

  /** An unclosed call in front of another token of the block is content. */
  private Step nested(StringBuilder pending, Marks.Found found) {
    int end = found.start() + (found.mark().equals(CALLS_BEGIN) ? CALLS_BEGIN.length() : 0);
    return malformed(pending, end, false);
  }

  private static Marks.@Nullable Found firstFrom(StringBuilder text, int from) {
    Marks.Found first = null;
    for (String mark : IN_CALL) {
      int at = text.indexOf(mark, from);
      if (at >= 0 && (first == null || at < first.start())) {
        first = new Marks.Found(mark, at);
      }
    }
    return first;
  }
}
