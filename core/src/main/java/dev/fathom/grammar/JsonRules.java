package dev.fathom.grammar;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The rules of plain JSON: shared by all schemas, each made when it is first asked for. */
final class JsonRules {

  private static final int MAX_INDENT = 32;
  private static final int MAX_DIGITS = 64;

  private final Rules rules;
  private final JsonGap gaps;
  private @Nullable Expr gap;
  private Expr.@Nullable Ref string;
  private Expr.@Nullable Ref number;
  private Expr.@Nullable Ref integer;
  private Expr.@Nullable Ref value;
  private Expr.@Nullable Ref object;
  private Expr.@Nullable Ref array;

  JsonRules(Rules rules, JsonGap gaps) {
    this.rules = rules;
    this.gaps = gaps;
  }

  /** White space inside brackets and behind commas. */
  Expr gap() {
    if (gap == null) {
      Expr blanks = new Expr.Repeat(new Expr.Chars(CodePoints.of(' ', '\t')), 0, MAX_INDENT);
      gap =
          gaps == JsonGap.NONE
              ? Expr.EMPTY
              : rules.add(
                  "gap",
                  Expr.optional(Expr.alt(Expr.text(" "), Expr.seq(Expr.text("\n"), blanks))));
    }
    return gap;
  }

  Expr comma() {
    return Expr.seq(Expr.text(","), gap());
  }

  Expr colon() {
    return gaps == JsonGap.NONE
        ? Expr.text(":")
        : Expr.seq(Expr.text(":"), Expr.optional(Expr.text(" ")));
  }

  /** Any string in any spelling. */
  Expr string() {
    if (string == null) {
      string = rules.add("string", quoted(Expr.any(new Expr.JsonChar())));
    }
    return string;
  }

  static Expr quoted(Expr body) {
    return Expr.seq(Expr.text("\""), body, Expr.text("\""));
  }

  /** A name or a text in its canonical spelling. */
  static Expr quotedText(String text) {
    return quoted(new Expr.JsonEscaped(Expr.text(text)));
  }

  Expr integer() {
    if (integer == null) {
      integer = rules.add("integer", Expr.seq(Expr.optional(Expr.text("-")), whole()));
    }
    return integer;
  }

  private static Expr whole() {
    Expr digit = new Expr.Chars(CharClasses.DIGIT);
    return Expr.alt(
        Expr.text("0"),
        Expr.seq(
            new Expr.Chars(CodePoints.ofRange('1', '9')),
            new Expr.Repeat(digit, 0, MAX_DIGITS - 1)));
  }

  Expr number() {
    if (number == null) {
      Expr digit = new Expr.Chars(CharClasses.DIGIT);
      number =
          rules.add(
              "number",
              Expr.seq(
                  integer(),
                  Expr.optional(Expr.seq(Expr.text("."), new Expr.Repeat(digit, 1, MAX_DIGITS))),
                  Expr.optional(
                      Expr.seq(
                          new Expr.Chars(CodePoints.of('e', 'E')),
                          Expr.optional(new Expr.Chars(CodePoints.of('+', '-'))),
                          new Expr.Repeat(digit, 1, 2)))));
    }
    return number;
  }

  /** Any value. */
  Expr value() {
    if (value == null) {
      int rule = rules.declare("value");
      value = new Expr.Ref(rule);
      rules.define(
          rule,
          Expr.alt(
              string(),
              object(),
              array(),
              number(),
              new Expr.Texts(List.of("true", "false", "null"))));
    }
    return value;
  }

  /** Any object. */
  Expr object() {
    if (object == null) {
      int rule = rules.declare("object");
      object = new Expr.Ref(rule);
      Expr pair = Expr.seq(string(), colon(), value());
      rules.define(rule, list("{", pair, 0, Expr.UNBOUNDED, "}"));
    }
    return object;
  }

  /** Any array. */
  Expr array() {
    if (array == null) {
      int rule = rules.declare("array");
      array = new Expr.Ref(rule);
      rules.define(rule, list("[", value(), 0, Expr.UNBOUNDED, "]"));
    }
    return array;
  }

  /** Elements between brackets. */
  Expr list(String open, Expr element, int min, int max, String close) {
    List<Expr> forms = new ArrayList<>();
    Expr end = Expr.seq(gap(), Expr.text(close));
    if (max != 0) {
      int more = max == Expr.UNBOUNDED ? max : max - 1;
      Expr others = new Expr.Repeat(Expr.seq(comma(), element), Math.max(0, min - 1), more);
      forms.add(Expr.seq(gap(), element, others, end));
    }
    if (min == 0) {
      forms.add(Expr.text(close));
    }
    return Expr.seq(Expr.text(open), new Expr.Alt(forms));
  }
}
