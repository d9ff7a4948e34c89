package dev.fathom.text;

import static dev.fathom.text.ControlTokens.CALLS_BEGIN;
import static dev.fathom.text.ControlTokens.CALLS_END;
import static dev.fathom.text.ControlTokens.CALL_BEGIN;
import static dev.fathom.text.ControlTokens.CALL_END;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads what stands between {@code <｜tool▁calls▁begin｜>} and {@code <｜tool▁calls▁end｜>}: calls, and
 * whatever a model puts there instead, which comes out as content.
 */
final class CallBlock {
  /** Longest call that is held back, in UTF-16 units; a longer one comes out as content. */
  static final int MAX_CALL_LEN = 1 << 20;

  private static final List<String> IN_BLOCK = List.of(CALL_BEGIN, CALLS_END);
  private static final List<String> IN_CALL = List.of(CALL_END, CALL_BEGIN, CALLS_END, CALLS_BEGIN);

  private final ToolCallSyntax syntax;
  private int numCalls;

  /** The tokens of the frame that have not yet proved to be one. */
  private String frame = "";

  private boolean callSeen;

  /** Whether the last thing was stray text, to which white space belongs. */
  private boolean inStrayText;

  /** Where the search for the end of the current call goes on. */
  private int searched;

  CallBlock(ToolCallSyntax syntax) {
    this.syntax = syntax;
  }

  /**
   * What was found.
   *
   * @param consumed units to remove from the pending text
   * @param content text to give out as content first
   * @param call a complete call, or null
   * @param ended whether the block is over
   */
  record Step(int consumed, String content, OutputEvent.@Nullable Call call, boolean ended) {}

  private static final Step WAIT = new Step(0, "", null, false);

  /** Starts a block: its opening token has been read. */
  void begin() {
    frame = CALLS_BEGIN;
    callSeen = false;
    inStrayText = false;
    searched = 0;
  }

  /** Reads the start of the pending text. */
  Step next(StringBuilder pending, boolean last) {
    int from = inStrayText ? 0 : whiteSpace(pending);
    if (from >= MAX_CALL_LEN) {
      return giveUp(pending, MAX_CALL_LEN);
    }
    if (from == pending.length() && !last) {
      return WAIT;
    }
    if (startsWith(pending, from, CALL_BEGIN)) {
      return call(pending, from, last);
    }
    if (startsWith(pending, from, CALLS_END)) {
      int end = from + CALLS_END.length();
      return new Step(end, callSeen ? "" : frame + pending.substring(0, end), null, true);
    }
    boolean mayBecome = from < pending.length() && mayStart(pending, from);
    if (mayBecome && !last) {
      return WAIT;
    }
    return last ? atEnd(pending, from) : strayText(pending);
  }

  private static boolean mayStart(StringBuilder pending, int from) {
    return Marks.mayStart(pending, from, CALL_BEGIN) || Marks.mayStart(pending, from, CALLS_END);
  }

  private Step atEnd(StringBuilder pending, int from) {
    boolean nothingLeft = from == pending.length() && callSeen;
    if (nothingLeft || pending.isEmpty()) {
      return new Step(pending.length(), callSeen ? "" : frame, null, true);
    }
    if (Marks.first(pending, IN_BLOCK) != null) {
      return strayText(pending);
    }
    return giveUp(pending, pending.length());
  }

  private Step strayText(StringBuilder pending) {
    Marks.Found found = Marks.first(pending, IN_BLOCK);
    int end = found != null ? found.start() : pending.length() - Marks.heldBack(pending, IN_BLOCK);
    inStrayText = true;
    return new Step(end, unframed(pending.substring(0, end)), null, false);
  }

  private Step call(StringBuilder pending, int from, boolean last) {
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
    searched = 0;
    inStrayText = false;
    if (!found.mark().equals(CALL_END)) {
      return nested(pending, found);
    }
    ToolCall parsed = syntax.parse(pending.substring(bodyStart, found.start()));
    if (parsed == null) {
      return new Step(end, unframed(pending.substring(0, end)), null, false);
    }
    frame = "";
    callSeen = true;
    return new Step(
        end, "", new OutputEvent.Call(numCalls++, parsed.name(), parsed.argumentsJson()), false);
  }

  /** An unclosed call in front of another token of the block is content. */
  private Step nested(StringBuilder pending, Marks.Found found) {
    int end = found.start() + (found.mark().equals(CALLS_BEGIN) ? CALLS_BEGIN.length() : 0);
    return new Step(end, unframed(pending.substring(0, end)), null, false);
  }

  private Step giveUp(StringBuilder pending, int len) {
    return new Step(len, unframed(pending.substring(0, len)), null, true);
  }

  private String unframed(String text) {
    String content = frame + text;
    frame = "";
    return content;
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

  private static int whiteSpace(StringBuilder text) {
    int i = 0;
    while (i < text.length() && Character.isWhitespace(text.charAt(i))) {
      i++;
    }
    return i;
  }

  private static boolean startsWith(StringBuilder text, int from, String mark) {
    return text.length() - from >= mark.length() && Marks.mayStart(text, from, mark);
  }
}
