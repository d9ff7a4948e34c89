/**
 * What a backend implements: it compiles a program and executes steps of it.
 *
 * <p>Read {@code BackendProvider} first. Dimension letters are those of {@link dev.fathom.program}.
 */
@NullMarked
package dev.fathom.backend;

import org.jspecify.annotations.NullMarked;
