package dev.fathom.grammar;

/** Which rules match any text at all. */
final class Productivity {

  private Productivity() {}

  static boolean[] of(Rules rules) {
    boolean[] found = new boolean[rules.size()];
    boolean changed = true;
    while (changed) {
      changed = false;
      for (int r = 0; r < found.length; r++) {
        rules.budget().work();
        if (!found[r] && matches(rules.body(r), found)) {
          found[r] = true;
          changed = true;
        }
      }
    }
    return found;
  }

  private static boolean matches(Expr expr, boolean[] known) {
    return switch (expr) {
      case Expr.Seq seq -> seq.parts().stream().allMatch(part -> matches(part, known));
      case Expr.Alt alt -> alt.branches().stream().anyMatch(branch -> matches(branch, known));
      case Expr.Repeat r -> r.min() == 0 || matches(r.body(), known);
      case Expr.JsonEscaped inside -> matches(inside.body(), known);
      case Expr.Chars chars -> !chars.set().isEmpty();
      case Expr.Texts texts -> !texts.texts().isEmpty();
      case Expr.Automaton automaton -> !automaton.automaton().trimmed().isEmpty();
      case Expr.Ref ref -> known[ref.rule()];
      case Expr.Literal ignored -> true;
      case Expr.JsonChar ignored -> true;
      case Expr.Control ignored -> true;
      case Expr.Anchor ignored -> true;
    };
  }
}
