/**
 * What every command shares: the terminal, failures, exit codes, tables, the bundled sample.
 *
 * <p>Read {@link dev.fathom.examples.console.Terminal} first.
 */
@NullMarked
package dev.fathom.examples.console;

import org.jspecify.annotations.NullMarked;
