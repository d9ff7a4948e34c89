package dev.fathom.grammar;

import java.util.List;

/** A grammar expression, what every front end compiles to. Immutable. */
sealed interface Expr {

  /** Nothing at all: the empty text. */
  Expr EMPTY = new Seq(List.of());

  /** What no text matches. */
  Expr NEVER = new Alt(List.of());

  /** No upper bound of a {@link Repeat}. */
  int UNBOUNDED = -1;

  /** A text, taken as it is. */
  record Literal(String text) implements Expr {}

  /** One of a set of code points. */
  record Chars(CodePoints set) implements Expr {}

  /** Any text of a list: as an alternative of literals, with shared starts. */
  record Texts(List<String> texts) implements Expr {

    public Texts {
      texts = List.copyOf(texts);
    }
  }

  /** One after the other. */
  record Seq(List<Expr> parts) implements Expr {

    public Seq {
      parts = List.copyOf(parts);
    }
  }

  /** One of several; none of them for no text at all. */
  record Alt(List<Expr> branches) implements Expr {

    public Alt {
      branches = List.copyOf(branches);
    }
  }

  /** A number of times, {@link #UNBOUNDED} for no upper bound. */
  record Repeat(Expr body, int min, int max) implements Expr {}

  /** A rule of {@link Rules} by its number. */
  record Ref(int rule) implements Expr {}

  /** What a deterministic automaton over code points accepts. */
  record Automaton(CharAutomaton automaton) implements Expr {}

  /**
   * The inside of a JSON string: characters of {@link #body}'s sets, literals and automata are
   * written as JSON writes them, with escapes where one must be.
   */
  record JsonEscaped(Expr body) implements Expr {}

  /** One character of a JSON string in every spelling that JSON has for it. */
  record JsonChar() implements Expr {}

  /** A control token, which has no bytes. */
  record Control(int tokenId) implements Expr {}

  /** Where a regular expression asserts the start or the end of the text. */
  enum Anchor implements Expr {
    START,
    END
  }

  static Expr seq(Expr... parts) {
    return new Seq(List.of(parts));
  }

  static Expr alt(Expr... branches) {
    return new Alt(List.of(branches));
  }

  static Expr text(String text) {
    return new Literal(text);
  }

  static Expr optional(Expr body) {
    return new Repeat(body, 0, 1);
  }

  static Expr any(Expr body) {
    return new Repeat(body, 0, UNBOUNDED);
  }
}
