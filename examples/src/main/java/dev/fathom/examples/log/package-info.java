/**
 * The log of the command line: warnings as plain lines on standard error.
 *
 * <p>Read {@link dev.fathom.examples.log.QuietLogging} first.
 */
@NullMarked
package dev.fathom.examples.log;

import org.jspecify.annotations.NullMarked;
