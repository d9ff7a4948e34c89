package dev.fathom.text;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads what stands between the marks that open and close the calls of an answer: calls, and
 * whatever a model puts there instead, which comes out as content.
 */
abstract sealed class CallBlock permits FramedCallBlock, DsmlCallBlock {
  /** Longest call that is held back, in UTF-16 units; a longer one comes out as content. */
  static final int MAX_CALL_LEN = 1 << 20;

  /** What stands in a block: the start of a call, the end of the block. */
  private final String callBegin;

  private final String blockEnd;
  private final List<String> inBlock;
  private int numCalls;

  /** The tokens of the frame that have not yet proved to be one. */
  private String frame = "";

  private boolean callSeen;

  /** Whether the last thing was stray text, to which white space belongs. */
  private boolean inStrayText;

  CallBlock(String callBegin, String blockEnd) {
    this.callBegin = callBegin;
    this.blockEnd = blockEnd;
    this.inBlock = List.of(callBegin, blockEnd);
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

  static final Step WAIT = new Step(0, "", null, false);

  /** Starts a block: the mark that opens it has been read. */
  void begin(String mark) {
    frame = mark;
    callSeen = false;
    inStrayText = false;
    reset();
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
    if (startsWith(pending, from, callBegin)) {
      return call(pending, from, last);
    }
    if (startsWith(pending, from, blockEnd)) {
      int end = from + blockEnd.length();
      return new Step(end, callSeen ? "" : frame + pending.substring(0, end), null, true);
    }
    boolean mayBecome = from < pending.length() && mayStart(pending, from);
    if (mayBecome && !last) {
      return WAIT;
    }
    return last ? atEnd(pending, from) : strayText(pending);
  }

  /** Reads a call of which {@link #callBegin} stands at {@code from}. */
  abstract Step call(StringBuilder pending, int from, boolean last);

  /** Forgets a call that was begun. */
  abstract void reset();

  private boolean mayStart(StringBuilder pending, int from) {
    return Marks.mayStart(pending, from, callBegin) || Marks.mayStart(pending, from, blockEnd);
  }

  private Step atEnd(StringBuilder pending, int from) {
    boolean nothingLeft = from == pending.length() && callSeen;
    if (nothingLeft || pending.isEmpty()) {
      return new Step(pending.length(), callSeen ? "" : frame, null, true);
    }
    if (Marks.first(pending, inBlock) != null) {
      return strayText(pending);
    }
    return giveUp(pending, pending.length());
  }

  private Step strayText(StringBuilder pending) {
    Marks.Found found = Marks.first(pending, inBlock);
    int end = found != null ? found.start() : pending.length() - Marks.heldBack(pending, inBlock);
    inStrayText = true;
    return new Step(end, unframed(pending.substring(0, end)), null, false);
  }

  /** A complete call of {@code len} units. */
  final Step called(int len, ToolCall call) {
    reset();
    inStrayText = false;
    frame = "";
    callSeen = true;
    return new Step(
        len, "", new OutputEvent.Call(numCalls++, call.name(), call.argumentsJson()), false);
  }

  /** A malformed call of {@code len} units, which are content. */
  final Step malformed(StringBuilder pending, int len, boolean textFollows) {
    reset();
    inStrayText = textFollows;
    return new Step(len, unframed(pending.substring(0, len)), null, false);
  }

  /** Ends the block: its first {@code len} units are content. */
  final Step giveUp(StringBuilder pending, int len) {
    reset();
    return new Step(len, unframed(pending.substring(0, len)), null, true);
  }

  private String unframed(String text) {
    String content = frame + text;
    frame = "";
    return content;
  }

  private static int whiteSpace(StringBuilder text) {
    int i = 0;
    while (i < text.length() && Character.isWhitespace(text.charAt(i))) {
      i++;
    }
    return i;
  }

  static boolean startsWith(StringBuilder text, int from, String mark) {
    return text.length() - from >= mark.length() && Marks.mayStart(text, from, mark);
  }
}
