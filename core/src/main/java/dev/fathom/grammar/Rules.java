package dev.fathom.grammar;

import java.util.ArrayList;
import java.util.List;

/** The rules of a grammar while it is being written: names and expressions by number. */
final class Rules {

  private final List<String> names = new ArrayList<>();
  private final List<Expr> bodies = new ArrayList<>();
  private final Budget budget;
  private CodePoints escaped = CodePoints.NONE;

  Rules(Budget budget) {
    this.budget = budget;
  }

  Budget budget() {
    return budget;
  }

  /** Returns what JSON strings write as an escape only, beside what they must. */
  CodePoints escaped() {
    return escaped;
  }

  /** Lets JSON strings write characters as escapes only. */
  void escape(CodePoints characters) {
    escaped = characters;
  }

  /** Adds a rule that matches nothing until it is defined. */
  int declare(String name) {
    budget.rule();
    names.add(name);
    bodies.add(Expr.NEVER);
    return names.size() - 1;
  }

  void define(int rule, Expr body) {
    bodies.set(rule, body);
  }

  Expr.Ref add(String name, Expr body) {
    int rule = declare(name);
    define(rule, body);
    return new Expr.Ref(rule);
  }

  int size() {
    return names.size();
  }

  String name(int rule) {
    return names.get(rule);
  }

  Expr body(int rule) {
    return bodies.get(rule);
  }
}
