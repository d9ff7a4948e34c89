/**
 * The engine: one thread that plans steps for all running sequences, submits them and hands out
 * tokens.
 *
 * <p>Read {@code Engine} first.
 */
@NullMarked
package dev.fathom.engine;

import org.jspecify.annotations.NullMarked;
