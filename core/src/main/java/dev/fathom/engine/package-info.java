/**
 * The engine: one thread that plans steps for all running sequences, submits them and hands out
 * tokens.
 *
 * <p>Read {@link dev.fathom.engine.Engine} first, then {@link dev.fathom.engine.Scheduler}.
 * Dimension letters: T tokens of a step, R wanted rows, V vocabulary.
 */
@NullMarked
package dev.fathom.engine;

import org.jspecify.annotations.NullMarked;
