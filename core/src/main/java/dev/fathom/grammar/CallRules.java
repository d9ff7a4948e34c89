package dev.fathom.grammar;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.Text;
import dev.fathom.text.CallNotation;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * The rules of an answer's calls, behind the mark that opens them up to the one that closes them:
 * at least one call, of tools that are offered, with arguments that are valid.
 *
 * <p>No argument holds the bar that all marks begin with as it is, so that what is read back is
 * what was written: JSON strings write it as an escape, other texts not at all.
 */
final class CallRules {

  private final GrammarSource.Calls calls;
  private final Rules rules;

  private CallRules(GrammarSource.Calls calls, Rules rules) {
    this.calls = calls;
    this.rules = rules;
  }

  static Expr of(GrammarSource.Calls calls, Rules rules) {
    rules.escape(CodePoints.of(CallNotation.BAR));
    return new CallRules(calls, rules).block();
  }

  private Expr block() {
    CallNotation notation = calls.notation();
    Set<String> names = new HashSet<>();
    List<Expr> forms = new ArrayList<>();
    for (GrammarSource.Tool tool : calls.tools()) {
      if (!CallNotation.canName(tool.name()) || !names.add(tool.name())) {
        throw refused(
            tool,
            ErrorCode.GRAMMAR_INVALID,
            "its name must be its own, without quote, < or control character",
            "rename the tool");
      }
      forms.add(Expr.seq(Expr.text(tool.name()), text(notation.middle()), arguments(tool)));
    }
    Expr call =
        rules.add(
            "call", Expr.seq(text(notation.begin()), new Expr.Alt(forms), text(notation.end())));
    Expr between =
        notation.separator().isEmpty() ? Expr.EMPTY : Expr.optional(text(notation.separator()));
    return Expr.seq(call, Expr.any(Expr.seq(between, call)), text(notation.closing()));
  }

  /** A fixed text, with tokens where it has control tokens. */
  private Expr text(String fixed) {
    List<Expr> parts = new ArrayList<>();
    String rest = fixed;
    while (!rest.isEmpty()) {
      int at = rest.length();
      String control = "";
      for (String candidate : calls.controls().keySet()) {
        int found = rest.indexOf(candidate);
        if (found >= 0 && found < at) {
          at = found;
          control = candidate;
        }
      }
      if (at > 0) {
        parts.add(Expr.text(rest.substring(0, at)));
      }
      Integer id = calls.controls().get(control);
      if (id != null) {
        parts.add(new Expr.Control(id));
      }
      rest = rest.substring(at + control.length());
    }
    return new Expr.Seq(parts);
  }

  private Expr arguments(GrammarSource.Tool tool) {
    String schema = tool.schema();
    boolean elements = calls.notation().arguments() == CallNotation.Arguments.ELEMENTS;
    if (schema == null) {
      return elements ? anyElements() : new JsonRules(rules, JsonGap.FLEXIBLE).object();
    }
    try {
      return arguments(schema, elements);
    } catch (InvalidRequestException e) {
      throw refused(tool, e.code(), e.what() + ": " + e.why(), e.fix());
    }
  }

  private Expr arguments(String schema, boolean elements) {
    SchemaDocument document = SchemaDocument.parse(schema);
    SchemaCompiler compiler =
        new SchemaCompiler(document, rules, JsonGap.FLEXIBLE, SchemaCompiler.Mode.CLOSED);
    ObjectForm form = elements ? new ElementForm(compiler, this::text) : new JsonForm(compiler);
    List<Expr> branches = new ArrayList<>();
    for (SchemaCase one : compiler.cases(List.of(document.root()))) {
      one.types.retainAll(EnumSet.of(SchemaType.OBJECT));
      if (one.types.isEmpty()) {
        continue;
      }
      if (one.values != null && elements) {
        throw SchemaDocument.unsupported(
            document.root(), "enum", "arguments are written one by one in this model's calls");
      }
      branches.add(
          one.values != null
              ? compiler.body(one)
              : new SchemaObjects(compiler, one, form).expression());
    }
    compiler.finish();
    return new Expr.Alt(branches);
  }

  /** Arguments of a tool that is not strict. */
  private Expr anyElements() {
    CodePoints all = CodePoints.of(CallNotation.BAR).complement();
    CodePoints inName = all.minus(CodePoints.ofRange(0, ' ').or(CodePoints.of('"', '<')));
    Expr element =
        Expr.seq(
            text(CallNotation.ELEMENT_BEGIN),
            new Expr.Repeat(new Expr.Chars(inName), 1, 64),
            Expr.alt(
                Expr.seq(text(CallNotation.ELEMENT_TEXT), Expr.any(new Expr.Chars(all))),
                Expr.seq(
                    text(CallNotation.ELEMENT_JSON),
                    new JsonRules(rules, JsonGap.FLEXIBLE).value())),
            text(CallNotation.ELEMENT_END));
    Expr separated = Expr.seq(text(CallNotation.ELEMENT_SEPARATOR), element);
    return Expr.optional(Expr.seq(element, Expr.any(separated)));
  }

  private static InvalidRequestException refused(
      GrammarSource.Tool tool, ErrorCode code, String why, String fix) {
    return new InvalidRequestException(
        code, "Calls of the tool " + Text.quote(tool.name()) + " cannot be strict", why, fix);
  }
}
