package dev.fathom.grammar;

import dev.fathom.grammar.SchemaDocument.Node;
import java.util.List;

/** How the properties of an object are written: what stands around and between them. */
interface ObjectForm {

  /** What an object begins with. */
  Expr begin();

  /** What may stand between the begin and the first property. */
  Expr inside();

  /** What stands between two properties. */
  Expr comma();

  /** What an object ends with behind a property. */
  Expr end();

  /** What an object ends with where it has none. */
  Expr emptyEnd();

  /**
   * A property.
   *
   * @param schemas all of which its value satisfies; none for any value
   */
  Expr pair(String name, List<Node> schemas);

  /** Whether properties that no schema names can be written. */
  boolean allowsOthers();
}
