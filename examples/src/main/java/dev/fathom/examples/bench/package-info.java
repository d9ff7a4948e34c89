/**
 * Measures how fast a model runs and how near that is to what the machine's memory allows.
 *
 * <p>Read {@link dev.fathom.examples.bench.Bench} first.
 */
@NullMarked
package dev.fathom.examples.bench;

import org.jspecify.annotations.NullMarked;
