/**
 * The first class of the jar, which old JVMs can read.
 *
 * <p>Read {@code Launcher} first.
 */
@NullMarked
package dev.fathom.examples.launch;

import org.jspecify.annotations.NullMarked;
