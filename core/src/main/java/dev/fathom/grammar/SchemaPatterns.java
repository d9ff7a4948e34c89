package dev.fathom.grammar;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.grammar.SchemaDocument.Node;

/** Patterns of a schema: what is wrong with one is said with its place. */
final class SchemaPatterns {

  private SchemaPatterns() {}

  static Expr parse(Node node, String keyword, String pattern) {
    try {
      return RegexParser.parse(pattern);
    } catch (InvalidRequestException e) {
      throw e.code() == ErrorCode.GRAMMAR_INVALID
          ? SchemaDocument.invalid(node, keyword, e.why())
          : SchemaDocument.unsupported(node, keyword, e.why());
    }
  }
}
