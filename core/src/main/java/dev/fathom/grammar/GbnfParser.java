package dev.fathom.grammar;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.Text;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads grammars in the notation of llama.cpp, GBNF: {@code name ::= alternatives}, with texts in
 * quotes, character classes, {@code .}, groups, {@code * + ? {m,n}} and comments behind {@code #}.
 * The answer is what the rule {@code root} describes.
 *
 * <p>A rule goes on over line ends until the next {@code name ::=}; a semicolon may end it. Texts
 * may stand in single quotes too.
 */
final class GbnfParser {

  private static final int MAX_NESTING = 200;
  private static final int MAX_COUNT = 100_000;
  private static final char END = 0;

  private final String source;
  private final Rules rules;
  private final Map<String, Integer> numbers = new HashMap<>();
  private final Map<String, Integer> usedAt = new LinkedHashMap<>();
  private final Map<String, Boolean> defined = new HashMap<>();
  private int at;
  private int nesting;

  private GbnfParser(String source, Rules rules) {
    this.source = source;
    this.rules = rules;
  }

  /**
   * Adds the rules of a grammar.
   *
   * @return the rule {@code root}
   * @throws InvalidRequestException (5002) if it is malformed or a rule is missing
   */
  static Expr.Ref parse(String source, Rules rules) {
    Budget.checkSource(source);
    return new GbnfParser(source, rules).grammar();
  }

  private Expr.Ref grammar() {
    skip();
    while (at < source.length()) {
      int start = at;
      String name = name();
      if (name.isEmpty() || !takeDefinition()) {
        at = start;
        throw malformed("a rule must be written as name ::= ...");
      }
      if (defined.put(name, true) != null) {
        at = start;
        throw malformed("the rule " + Text.quote(name) + " must not be defined twice");
      }
      rules.define(number(name), alternatives());
      if (peek() == ';') {
        at++;
      }
      skip();
    }
    usedAt.forEach((name, position) -> {
      if (!defined.containsKey(name)) {
        at = position;
        throw malformed("the rule " + Text.quote(name) + " must be defined");
      }
    });
    if (!defined.containsKey("root")) {
      throw malformed("there must be a rule \"root\"");
    }
    return new Expr.Ref(number("root"));
  }

  private int number(String name) {
    return numbers.computeIfAbsent(name, rules::declare);
  }

  private char peek() {
    return at < source.length() ? source.charAt(at) : END;
  }

  private void skip() {
    while (at < source.length()) {
      char c = source.charAt(at);
      if (c == '#') {
        while (at < source.length() && source.charAt(at) != '\n') {
          at++;
        }
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        at++;
      } else {
        return;
      }
    }
  }

  private String name() {
    int start = at;
    while (isNamePart(peek())) {
      at++;
    }
    return source.substring(start, at);
  }

  private static boolean isNamePart(char c) {
    return (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9')
        || c == '-'
        || c == '_';
  }

  private boolean takeDefinition() {
    skip();
    boolean there = source.startsWith("::=", at);
    at += there ? 3 : 0;
    return there;
  }

  /** Whether a name starts here that belongs to the next rule. */
  private boolean startsRule() {
    int start = at;
    name();
    boolean starts = takeDefinition();
    at = start;
    return starts;
  }

  private Expr alternatives() {
    if (++nesting > MAX_NESTING) {
      throw malformed("groups must be nested at most " + MAX_NESTING + " deep");
    }
    List<Expr> branches = new ArrayList<>();
    branches.add(sequence());
    while (peek() == '|') {
      at++;
      branches.add(sequence());
    }
    nesting--;
    return branches.size() == 1 ? branches.getFirst() : new Expr.Alt(branches);
  }

  private Expr sequence() {
    List<Expr> parts = new ArrayList<>();
    skip();
    while (at < source.length()) {
      char c = peek();
      if (c == '|' || c == ')' || c == ';' || (isNamePart(c) && startsRule())) {
        break;
      }
      parts.add(repeated(element(c)));
      skip();
    }
    return new Expr.Seq(parts);
  }

  private Expr element(char c) {
    if (isNamePart(c)) {
      int start = at;
      String name = name();
      usedAt.putIfAbsent(name, start);
      return new Expr.Ref(number(name));
    }
    at++;
    return switch (c) {
      case '"', '\'' -> quoted(c);
      case '[' -> characters();
      case '.' -> new Expr.Chars(CodePoints.ALL);
      case '(' -> {
        Expr inside = alternatives();
        if (peek() != ')') {
          throw malformed("a ( must be closed");
        }
        at++;
        yield inside;
      }
      default -> {
        at--;
        throw malformed("a rule must be made of texts, classes, names and groups");
      }
    };
  }

  private Expr repeated(Expr element) {
    Expr result = element;
    skipBlanks();
    while (true) {
      char c = peek();
      if (c == '*') {
        result = Expr.any(result);
      } else if (c == '+') {
        result = new Expr.Repeat(result, 1, Expr.UNBOUNDED);
      } else if (c == '?') {
        result = Expr.optional(result);
      } else if (c == '{') {
        result = counted(result);
        continue;
      } else {
        return result;
      }
      at++;
    }
  }

  private void skipBlanks() {
    while (peek() == ' ' || peek() == '\t') {
      at++;
    }
  }

  private Expr counted(Expr element) {
    at++;
    skipBlanks();
    int min = count(0);
    int max = min;
    skipBlanks();
    if (peek() == ',') {
      at++;
      skipBlanks();
      max = count(Expr.UNBOUNDED);
      skipBlanks();
    }
    if (peek() != '}') {
      throw malformed("a count must be written as {m}, {m,} or {m,n}");
    }
    if (max != Expr.UNBOUNDED && max < min) {
      throw malformed("the bounds of a count must be in order");
    }
    at++;
    return new Expr.Repeat(element, min, max);
  }

  private int count(int otherwise) {
    int start = at;
    int value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = Math.min(value * 10 + source.charAt(at++) - '0', MAX_COUNT + 1);
    }
    if (value > MAX_COUNT) {
      throw malformed("a count must be <= " + MAX_COUNT);
    }
    return at == start ? otherwise : value;
  }

  private Expr quoted(char quote) {
    StringBuilder text = new StringBuilder();
    while (peek() != quote) {
      text.appendCodePoint(character());
    }
    at++;
    return Expr.text(text.toString());
  }

  private Expr characters() {
    boolean negated = peek() == '^';
    at += negated ? 1 : 0;
    List<CodePoints> members = new ArrayList<>();
    while (peek() != ']') {
      int first = character();
      int last = first;
      if (peek() == '-' && at + 1 < source.length() && source.charAt(at + 1) != ']') {
        at++;
        last = character();
        if (last < first) {
          throw malformed("the ends of a range must be in order");
        }
      }
      members.add(CodePoints.ofRange(first, last));
    }
    at++;
    CodePoints all = CodePoints.union(members);
    return new Expr.Chars(negated ? all.complement() : all);
  }

  private int character() {
    if (at >= source.length()) {
      throw malformed("a text or class must be closed");
    }
    int c = source.codePointAt(at);
    at += Character.charCount(c);
    return c == '\\' ? escaped() : c;
  }

  private int escaped() {
    char c = peek();
    at++;
    return switch (c) {
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'x' -> hex(2);
      case 'u' -> hex(4);
      case 'U' -> hex(8);
      case '\\', '"', '\'', '[', ']', '-', '^' -> c;
      default -> {
        at--;
        throw malformed("this character must not be escaped");
      }
    };
  }

  private int hex(int digits) {
    long value = 0;
    for (int i = 0; i < digits; i++) {
      int digit = Character.digit(peek(), 16);
      if (digit < 0) {
        throw malformed("an escape must have " + digits + " hexadecimal digits");
      }
      value = value * 16 + digit;
      at++;
    }
    if (value > Character.MAX_CODE_POINT || (value >= 0xD800 && value <= 0xDFFF)) {
      throw malformed("an escape must name a code point");
    }
    return (int) value;
  }

  private InvalidRequestException malformed(String rule) {
    int line = 1;
    int lineStart = 0;
    for (int i = 0; i < Math.min(at, source.length()); i++) {
      if (source.charAt(i) == '\n') {
        line++;
        lineStart = i + 1;
      }
    }
    return new InvalidRequestException(
        ErrorCode.GRAMMAR_INVALID,
        "The grammar cannot be read",
        rule + ": line=" + line + " column=" + (at - lineStart + 1),
        "correct it; it is read as GBNF, the notation of llama.cpp");
  }
}
