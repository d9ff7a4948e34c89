/**
 * The commands of the command line, each a small class, and what they share.
 *
 * <p>Read {@link dev.fathom.examples.cli.CommandLineApp} first, then {@link
 * dev.fathom.examples.cli.ChatCommand}.
 */
@NullMarked
package dev.fathom.examples.cli;

import org.jspecify.annotations.NullMarked;
