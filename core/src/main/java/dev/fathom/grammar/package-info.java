/**
 * What an answer may look like: JSON schemas, regular expressions, lists of choices and grammars
 * become pushdown automata over bytes, and these become masks over a vocabulary.
 *
 * <p>Read {@link dev.fathom.grammar.GrammarMatcher} first, then {@link
 * dev.fathom.grammar.Configuration}. Pure: no thread, clock or file besides the deadline of a
 * compilation.
 */
@NullMarked
package dev.fathom.grammar;

import org.jspecify.annotations.NullMarked;
