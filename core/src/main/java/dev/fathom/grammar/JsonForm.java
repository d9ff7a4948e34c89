package dev.fathom.grammar;

import dev.fathom.grammar.SchemaDocument.Node;
import java.util.List;

/** Objects as JSON. */
record JsonForm(SchemaCompiler compiler) implements ObjectForm {

  @Override
  public Expr begin() {
    return Expr.text("{");
  }

  @Override
  public Expr inside() {
    return compiler.json.gap();
  }

  @Override
  public Expr comma() {
    return compiler.json.comma();
  }

  @Override
  public Expr end() {
    return Expr.seq(compiler.json.gap(), Expr.text("}"));
  }

  @Override
  public Expr emptyEnd() {
    return Expr.text("}");
  }

  @Override
  public Expr pair(String name, List<Node> schemas) {
    Expr value = schemas.isEmpty() ? compiler.json.value() : compiler.all(schemas);
    return Expr.seq(JsonRules.quotedText(name), compiler.json.colon(), value);
  }

  @Override
  public boolean allowsOthers() {
    return true;
  }
}
