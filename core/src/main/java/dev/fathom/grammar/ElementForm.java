package dev.fathom.grammar;

import dev.fathom.grammar.SchemaDocument.Node;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import dev.fathom.text.CallNotation;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * The arguments of a call as elements ({@link CallNotation.Arguments#ELEMENTS}): strings as they
 * are, all else as JSON. Arguments that no schema names are not written: two of the same name would
 * spoil the call.
 */
final class ElementForm implements ObjectForm {

  private static final CodePoints TEXT = CodePoints.of(CallNotation.BAR).complement();

  private final SchemaCompiler compiler;
  private final Function<String, Expr> text;

  /**
   * Creates the form.
   *
   * @param text turns fixed texts into expressions, their control tokens too
   */
  ElementForm(SchemaCompiler compiler, Function<String, Expr> text) {
    this.compiler = compiler;
    this.text = text;
  }

  @Override
  public Expr begin() {
    return Expr.EMPTY;
  }

  @Override
  public Expr inside() {
    return Expr.EMPTY;
  }

  @Override
  public Expr comma() {
    return text.apply(CallNotation.ELEMENT_SEPARATOR);
  }

  @Override
  public Expr end() {
    return Expr.EMPTY;
  }

  @Override
  public Expr emptyEnd() {
    return Expr.EMPTY;
  }

  @Override
  public boolean allowsOthers() {
    return false;
  }

  @Override
  public Expr pair(String name, List<Node> schemas) {
    if (!CallNotation.canName(name)) {
      throw SchemaDocument.unsupported(
          schemas.isEmpty() ? compiler.document.root() : schemas.getFirst(),
          "properties",
          "a name of an argument must have no quote, < or control character in this model's calls");
    }
    List<Expr> texts = new ArrayList<>();
    List<Expr> others = new ArrayList<>();
    if (schemas.isEmpty()) {
      texts.add(Expr.any(new Expr.Chars(TEXT)));
      others.add(compiler.json.value());
    } else {
      values(schemas, texts, others);
    }
    return Expr.seq(
        text.apply(CallNotation.ELEMENT_BEGIN),
        Expr.text(name),
        Expr.alt(
            Expr.seq(text.apply(CallNotation.ELEMENT_TEXT), new Expr.Alt(texts)),
            Expr.seq(text.apply(CallNotation.ELEMENT_JSON), new Expr.Alt(others))),
        text.apply(CallNotation.ELEMENT_END));
  }

  /** Adds the values that satisfy all of some schemas: strings, and all others. */
  private void values(List<Node> schemas, List<Expr> texts, List<Expr> others) {
    for (SchemaCase one : compiler.cases(schemas)) {
      boolean mayBeText = one.types.remove(SchemaType.STRING);
      List<JsonValue> listed = one.values;
      if (mayBeText) {
        texts.add(listed == null ? string(one) : oneOf(one, listed));
      }
      if (!one.types.isEmpty()) {
        others.add(compiler.body(one));
      }
    }
  }

  private Expr oneOf(SchemaCase one, List<JsonValue> values) {
    List<String> fitting = new ArrayList<>();
    for (JsonValue value : values) {
      if (value instanceof JsonString string
          && string.value().indexOf(CallNotation.BAR) < 0
          && compiler.matches(one, string.value())) {
        fitting.add(string.value());
      }
    }
    return fitting.isEmpty() ? Expr.NEVER : new Expr.Texts(fitting);
  }

  private Expr string(SchemaCase one) {
    if (one.maxLength != Expr.UNBOUNDED && one.minLength > one.maxLength) {
      return Expr.NEVER;
    }
    Expr any = new Expr.Chars(TEXT);
    if (one.patterns.isEmpty() && one.formats.isEmpty()) {
      return new Expr.Repeat(any, one.minLength, one.maxLength);
    }
    CharAutomaton fitting = compiler.automaton(one);
    CharAutomaton writable = Patterns.automaton(Expr.any(any), false, compiler.budget());
    return new Expr.Automaton(
        fitting == null ? writable : fitting.and(writable, compiler.budget()));
  }
}
