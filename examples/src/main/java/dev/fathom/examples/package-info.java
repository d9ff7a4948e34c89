/**
 * Programs on top of Fathom: the command line, a server and adapters.
 *
 * <p>Read {@code Fathom} first.
 */
@NullMarked
package dev.fathom.examples;

import org.jspecify.annotations.NullMarked;
