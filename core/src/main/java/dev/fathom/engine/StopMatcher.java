package dev.fathom.engine;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Looks for stop strings in text that comes in pieces and never lets a part of one through.
 *
 * <p>Text that may be the start of a stop string is held back. The stop string that is complete
 * first wins, the longest of those that end at the same place, so that the outcome does not depend
 * on where pieces are cut. Not safe for several threads.
 */
final class StopMatcher {

  private final List<String> stops;
  private final StringBuilder pending = new StringBuilder();
  private @Nullable String matched;

  StopMatcher(List<String> stops) {
    this.stops = stops;
  }

  /** Takes more text and returns what is certain not to be part of a stop string. */
  String accept(String text) {
    if (stops.isEmpty() || matched != null) {
      return matched == null ? text : "";
    }
    pending.append(text);
    int end = Integer.MAX_VALUE;
    int start = 0;
    for (String stop : stops) {
      int at = pending.indexOf(stop);
      if (at >= 0 && (at + stop.length() < end || (at + stop.length() == end && at < start))) {
        start = at;
        end = at + stop.length();
        matched = stop;
      }
    }
    return take(matched == null ? pending.length() - heldBack() : start);
  }

  /** Passes text that is not looked at; what was held back comes first. */
  String pass(String text) {
    pending.append(text);
    return take(pending.length());
  }

  /** Ends the text and returns what was held back; nothing after a match. */
  String flush() {
    return matched == null ? take(pending.length()) : "";
  }

  /** Returns the stop string that came, or null. */
  @Nullable String matched() {
    return matched;
  }

  private String take(int len) {
    if (len == 0) {
      return "";
    }
    String taken = pending.substring(0, len);
    pending.delete(0, len);
    return taken;
  }

  private int heldBack() {
    int longest = 0;
    for (String stop : stops) {
      int most = Math.min(stop.length() - 1, pending.length());
      for (int len = most; len > longest; len--) {
        if (endsWithStartOf(stop, len)) {
          longest = len;
        }
      }
    }
    return longest;
  }

  private boolean endsWithStartOf(String stop, int len) {
    int from = pending.length() - len;
    for (int i = 0; i < len; i++) {
      if (pending.charAt(from + i) != stop.charAt(i)) {
        return false;
      }
    }
    return true;
  }
}
