package dev.fathom.grammar;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.Text;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads regular expressions as JSON Schema means them: ECMA-262 with the {@code u} flag, as far as
 * they describe regular languages. Nothing is ever matched by backtracking: what comes out is an
 * expression for an automaton.
 *
 * <p>Refused: look-around, back references, word boundaries, flags. Greedy and lazy quantifiers
 * mean the same here. Where engines differ the smaller set is taken: {@code \s} is the six white
 * spaces of ASCII and {@code \S} excludes all of Unicode's; {@code .} excludes every line
 * terminator.
 */
final class RegexParser {

  private static final int MAX_LEN = 20_000;
  private static final int MAX_NESTING = 200;
  private static final int MAX_COUNT = 100_000;
  private static final int END = -1;

  /** Where an escape stands. In a negated class the larger set makes the smaller one. */
  private enum Place {
    OUTSIDE,
    IN_CLASS,
    IN_NEGATED_CLASS
  }

  private final String pattern;
  private int at;
  private int nesting;

  private RegexParser(String pattern) {
    this.pattern = pattern;
  }

  /**
   * Parses a pattern.
   *
   * @throws InvalidRequestException (5002) if it is malformed, (5003) if it uses what is refused
   */
  static Expr parse(String pattern) {
    if (pattern.length() > MAX_LEN) {
      throw new InvalidRequestException(
          ErrorCode.GRAMMAR_TOO_LARGE,
          "The regular expression is too long",
          "must be <= " + MAX_LEN + ": length=" + pattern.length(),
          "shorten it");
    }
    RegexParser parser = new RegexParser(pattern);
    Expr all = parser.alternatives();
    if (parser.peek() != END) {
      throw parser.malformed("a ) must have a ( before it");
    }
    return all;
  }

  private int peek() {
    return at < pattern.length() ? pattern.codePointAt(at) : END;
  }

  private int take() {
    int c = peek();
    if (c == END) {
      throw malformed("the expression must not end here");
    }
    at += Character.charCount(c);
    return c;
  }

  private boolean takeIf(String text) {
    boolean there = pattern.startsWith(text, at);
    at += there ? text.length() : 0;
    return there;
  }

  private Expr alternatives() {
    if (++nesting > MAX_NESTING) {
      throw malformed("groups must be nested at most " + MAX_NESTING + " deep");
    }
    List<Expr> branches = new ArrayList<>();
    branches.add(sequence());
    while (takeIf("|")) {
      branches.add(sequence());
    }
    nesting--;
    return branches.size() == 1 ? branches.getFirst() : new Expr.Alt(branches);
  }

  private Expr sequence() {
    List<Expr> parts = new ArrayList<>();
    while (peek() != END && peek() != '|' && peek() != ')') {
      parts.add(term());
    }
    return parts.size() == 1 ? parts.getFirst() : new Expr.Seq(parts);
  }

  private Expr term() {
    if (takeIf("^")) {
      return Expr.Anchor.START;
    }
    if (takeIf("$")) {
      return Expr.Anchor.END;
    }
    Expr atom = atom();
    return quantified(atom);
  }

  private Expr quantified(Expr atom) {
    int start = at;
    Expr result = atom;
    if (takeIf("*")) {
      result = Expr.any(atom);
    } else if (takeIf("+")) {
      result = new Expr.Repeat(atom, 1, Expr.UNBOUNDED);
    } else if (takeIf("?")) {
      result = Expr.optional(atom);
    } else if (peek() == '{') {
      result = counted(atom);
    }
    boolean repeats = at > start;
    if (repeats) {
      takeIf("?");
      int next = at;
      boolean counts = peek() == '{' && !counted(atom).equals(atom);
      at = next;
      if (counts || peek() == '*' || peek() == '+' || peek() == '?') {
        throw malformed("a quantifier must have something to repeat");
      }
    }
    return result;
  }

  /** A brace that does not start a quantifier stands for itself. */
  private Expr counted(Expr atom) {
    int start = at;
    take();
    int min = number();
    int max = min;
    if (min >= 0 && takeIf(",")) {
      max = peek() == '}' ? Expr.UNBOUNDED : number();
      if (max == END && peek() != '}') {
        min = END;
      }
    }
    if (min < 0 || !takeIf("}")) {
      at = start;
      return atom;
    }
    if (max != Expr.UNBOUNDED && max < min) {
      throw malformed("the bounds of a quantifier must be in order");
    }
    return new Expr.Repeat(atom, min, max);
  }

  private int number() {
    int start = at;
    int value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = Math.min(value * 10 + take() - '0', MAX_COUNT + 1);
    }
    if (value > MAX_COUNT) {
      throw malformed("a count must be <= " + MAX_COUNT);
    }
    return at == start ? END : value;
  }

  private Expr atom() {
    int c = take();
    return switch (c) {
      case '(' -> group();
      case '[' -> new Expr.Chars(charClass());
      case '.' -> new Expr.Chars(CharClasses.NO_LINE_END);
      case '\\' -> new Expr.Chars(escape(Place.OUTSIDE));
      case '*', '+', '?' -> throw malformed("a quantifier must have something to repeat");
      default -> new Expr.Chars(CodePoints.of(c));
    };
  }

  private Expr group() {
    if (takeIf("?")) {
      boolean lookBehind = pattern.startsWith("<=", at) || pattern.startsWith("<!", at);
      if (takeIf(":")) {
        return closed(alternatives());
      }
      if (!lookBehind && takeIf("<")) {
        while (take() != '>') {
          // The name of a group does not matter.
        }
        return closed(alternatives());
      }
      boolean lookAhead = peek() == '=' || peek() == '!';
      throw unsupported(lookAhead || lookBehind ? "look-around" : "flags and special groups");
    }
    return closed(alternatives());
  }

  private Expr closed(Expr body) {
    if (!takeIf(")")) {
      throw malformed("a ( must be closed");
    }
    return body;
  }

  private CodePoints charClass() {
    boolean negated = takeIf("^");
    Place place = negated ? Place.IN_NEGATED_CLASS : Place.IN_CLASS;
    List<CodePoints> members = new ArrayList<>();
    while (!takeIf("]")) {
      CodePoints first = member(place);
      boolean range = peek() == '-' && at + 1 < pattern.length() && pattern.charAt(at + 1) != ']';
      if (!range) {
        members.add(first);
        continue;
      }
      take();
      CodePoints last = member(place);
      if (!isSingle(first) || !isSingle(last) || last.first(0) < first.first(0)) {
        throw malformed("a range of characters must have two ends in order");
      }
      members.add(CodePoints.ofRange(first.first(0), last.first(0)));
    }
    CodePoints all = CodePoints.union(members);
    return negated ? all.complement() : all;
  }

  private static boolean isSingle(CodePoints set) {
    return set.numRanges() == 1 && set.first(0) == set.last(0);
  }

  private CodePoints member(Place place) {
    int c = take();
    return c == '\\' ? escape(place) : CodePoints.of(c);
  }

  private CodePoints escape(Place place) {
    int c = take();
    return switch (c) {
      case 'd' -> CharClasses.DIGIT;
      case 'D' -> CharClasses.DIGIT.complement();
      case 'w' -> CharClasses.WORD;
      case 'W' -> CharClasses.WORD.complement();
      case 's' -> place == Place.IN_NEGATED_CLASS ? CharClasses.ANY_SPACE : CharClasses.SPACE;
      case 'S' ->
          (place == Place.IN_NEGATED_CLASS ? CharClasses.SPACE : CharClasses.ANY_SPACE)
              .complement();
      case 't' -> CodePoints.of('\t');
      case 'n' -> CodePoints.of('\n');
      case 'r' -> CodePoints.of('\r');
      case 'f' -> CodePoints.of('\f');
      case 'v' -> CodePoints.of(0x0B);
      case 'x' -> CodePoints.of(hex(2));
      case 'u' -> unicode();
      case 'c' -> control();
      case 'p' -> property();
      case 'P' -> property().complement();
      case 'b' -> {
        if (place == Place.OUTSIDE) {
          throw unsupported("word boundaries");
        }
        yield CodePoints.of('\b');
      }
      case 'B' -> throw unsupported("word boundaries");
      case 'k' -> throw unsupported("back references");
      case '0' -> CodePoints.of(0);
      default -> identity(c);
    };
  }

  /** Engines differ about small letters. */
  private CodePoints control() {
    int letter = take();
    if (letter < 'A' || letter > 'Z') {
      throw unsupported("\\c with anything but a capital letter");
    }
    return CodePoints.of(letter & 31);
  }

  private CodePoints identity(int c) {
    if (c >= '1' && c <= '9') {
      throw unsupported("back references");
    }
    if (Character.isLetter(c)) {
      throw malformed("a letter must not be escaped that has no meaning then");
    }
    return CodePoints.of(c);
  }

  private CodePoints property() {
    if (!takeIf("{")) {
      throw malformed("a property must stand in braces");
    }
    int end = pattern.indexOf('}', at);
    if (end < 0) {
      throw malformed("a property must stand in braces");
    }
    String name = pattern.substring(at, end);
    CodePoints set = CharClasses.property(name);
    if (set == null) {
      throw unsupported("the Unicode property " + Text.quote(name));
    }
    at = end + 1;
    return set;
  }

  private CodePoints unicode() {
    int value;
    if (takeIf("{")) {
      value = 0;
      while (!takeIf("}")) {
        value = Math.min(value * 16 + hexDigit(), Character.MAX_CODE_POINT + 1);
      }
    } else {
      value = hex(4);
      if (Character.isHighSurrogate((char) value) && takeIf("\\u")) {
        value = Character.toCodePoint((char) value, (char) hex(4));
      }
    }
    if (value > Character.MAX_CODE_POINT || (value >= 0xD800 && value <= 0xDFFF)) {
      throw malformed("an escape must name a code point");
    }
    return CodePoints.of(value);
  }

  private int hex(int digits) {
    int value = 0;
    for (int i = 0; i < digits; i++) {
      value = value * 16 + hexDigit();
    }
    return value;
  }

  private int hexDigit() {
    int digit = Character.digit(take(), 16);
    if (digit < 0) {
      throw malformed("an escape must have hexadecimal digits");
    }
    return digit;
  }

  private InvalidRequestException malformed(String rule) {
    return new InvalidRequestException(
        ErrorCode.GRAMMAR_INVALID,
        "The regular expression " + Text.quote(pattern) + " cannot be read",
        rule + ": position=" + at,
        "correct it; it is read as ECMA-262 with Unicode");
  }

  private InvalidRequestException unsupported(String what) {
    return new InvalidRequestException(
        ErrorCode.GRAMMAR_UNSUPPORTED,
        "The regular expression " + Text.quote(pattern) + " is not supported",
        what + " cannot be turned into an automaton: position=" + at,
        "write it without " + what);
  }
}
