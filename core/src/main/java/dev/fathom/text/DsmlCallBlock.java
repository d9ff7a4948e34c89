package dev.fathom.text;

import static dev.fathom.text.ControlTokens.DSML;

import dev.fathom.json.Json;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonWriter;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Calls in the markup of V3.2 and V4, {@link Dsml}.
 *
 * <p>Reads element by element and never goes back, so that a long argument costs linear time
 * however it is cut. White space between elements is skipped. Malformed is a call that is not
 * closed, has a blank name, the same parameter twice, a parameter with {@code string="false"} that
 * is no JSON, or an element inside a value; what was read of it, up to the element that is wrong,
 * comes out as content.
 */
final class DsmlCallBlock extends CallBlock {
  private static final String INVOKE = "<" + DSML + "invoke";
  private static final String INVOKE_END = "</" + DSML + "invoke>";
  private static final String PARAMETER = CallNotation.ELEMENT_BEGIN;
  private static final String PARAMETER_END = CallNotation.ELEMENT_END;
  private static final String ANY = "<" + DSML;
  private static final String ANY_END = "</" + DSML;

  private enum Element {
    HEAD,
    NAME,
    NAME_END,
    BODY,
    KEY,
    FLAG,
    VALUE
  }

  private enum Result {
    MORE,
    WAIT,
    WRONG,
    DONE
  }

  /** Values as JSON. */
  private final Map<String, String> arguments = new LinkedHashMap<>();

  private Element element = Element.HEAD;

  /** Where the current element starts, 0 between calls. */
  private int at;

  /** Where the search inside the element goes on. */
  private int searched;

  private String name = "";
  private String key = "";
  private boolean isString;

  DsmlCallBlock(Dsml dialect) {
    super(INVOKE, dialect.closing());
  }

  @Override
  void reset() {
    at = 0;
    searched = 0;
    element = Element.HEAD;
    arguments.clear();
  }

  @Override
  Step call(StringBuilder pending, int from, boolean last) {
    if (at == 0) {
      at = from + INVOKE.length();
    }
    int limit = Math.min(pending.length(), MAX_CALL_LEN);
    Result result = at > limit ? Result.WAIT : Result.MORE;
    while (result == Result.MORE) {
      result = read(pending, limit);
    }
    return switch (result) {
      case DONE -> called(at, new ToolCall(name.strip(), argumentsJson()));
      case WRONG -> malformed(pending, at, true);
      default -> limit == MAX_CALL_LEN || last ? giveUp(pending, limit) : WAIT;
    };
  }

  private Result read(StringBuilder text, int limit) {
    return switch (element) {
      case HEAD -> literal(text, limit, " name=\"", Element.NAME);
      case NAME -> quoted(text, limit);
      case NAME_END -> literal(text, limit, "\">", Element.BODY);
      case BODY -> body(text, limit);
      case KEY -> quoted(text, limit);
      case FLAG -> flag(text, limit);
      case VALUE -> value(text, limit);
    };
  }

  private Result body(StringBuilder text, int limit) {
    while (at < limit && Character.isWhitespace(text.charAt(at))) {
      at++;
    }
    Result parameter = literal(text, limit, PARAMETER, Element.KEY);
    if (parameter == Result.MORE) {
      return parameter;
    }
    Result end = literal(text, limit, INVOKE_END, Element.HEAD);
    if (end == Result.MORE) {
      return Result.DONE;
    }
    return parameter == Result.WAIT ? parameter : end;
  }

  private Result flag(StringBuilder text, int limit) {
    isString = true;
    Result yes = literal(text, limit, CallNotation.ELEMENT_TEXT, Element.VALUE);
    if (yes == Result.MORE) {
      return yes;
    }
    isString = false;
    Result no = literal(text, limit, CallNotation.ELEMENT_JSON, Element.VALUE);
    return yes == Result.WAIT ? yes : no;
  }

  /** Steps over a fixed text to another element. */
  private Result literal(StringBuilder text, int limit, String expected, Element next) {
    int len = Math.min(limit - at, expected.length());
    for (int i = 0; i < len; i++) {
      if (text.charAt(at + i) != expected.charAt(i)) {
        return Result.WRONG;
      }
    }
    if (len < expected.length()) {
      return Result.WAIT;
    }
    at += len;
    searched = at;
    element = next;
    return Result.MORE;
  }

  /** A name up to its closing quote, which stays. */
  private Result quoted(StringBuilder text, int limit) {
    while (searched < limit) {
      char c = text.charAt(searched);
      if (c == '"') {
        return named(text.substring(at, searched));
      }
      if (c == '<' || c == '\n') {
        return Result.WRONG;
      }
      searched++;
    }
    return Result.WAIT;
  }

  private Result named(String found) {
    if (element == Element.NAME) {
      name = found;
      element = Element.NAME_END;
      if (found.isBlank()) {
        return Result.WRONG;
      }
    } else {
      key = found;
      element = Element.FLAG;
      if (arguments.containsKey(found)) {
        return Result.WRONG;
      }
    }
    at = searched;
    return Result.MORE;
  }

  private Result value(StringBuilder text, int limit) {
    int nested = text.indexOf(ANY, searched);
    int end = text.indexOf(ANY_END, searched);
    int first = nested < 0 || (end >= 0 && end < nested) ? end : nested;
    if (first < 0 || first >= limit) {
      searched = Math.max(searched, limit - ANY_END.length());
      return Result.WAIT;
    }
    String found = text.substring(at, first);
    int start = at;
    at = first;
    Result closed = literal(text, limit, PARAMETER_END, Element.BODY);
    if (closed == Result.WAIT) {
      at = start;
      return closed;
    }
    if (closed == Result.WRONG) {
      return closed;
    }
    if (!isString && !isJson(found)) {
      at = start;
      return Result.WRONG;
    }
    arguments.put(key, isString ? quote(found) : found);
    return Result.MORE;
  }

  private static boolean isJson(String text) {
    try {
      Json.parse(text, JsonLimits.DEFAULT);
      return true;
    } catch (JsonException e) {
      return false;
    }
  }

  private static String quote(String text) {
    StringBuilder out = new StringBuilder();
    JsonWriter.quote(out, text);
    return out.toString();
  }

  private String argumentsJson() {
    StringBuilder out = new StringBuilder("{");
    arguments.forEach((argument, json) ->
        out.append(out.length() == 1 ? "" : ", ")
            .append(quote(argument))
            .append(": ")
            .append(json));
    return out.append('}').toString();
  }
}
