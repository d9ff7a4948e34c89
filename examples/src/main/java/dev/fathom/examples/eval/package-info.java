/**
 * Scores a model: exact matches of its answers, and how well it predicts text.
 *
 * <p>Read {@link dev.fathom.examples.eval.EvalSet} first.
 */
@NullMarked
package dev.fathom.examples.eval;

import org.jspecify.annotations.NullMarked;
