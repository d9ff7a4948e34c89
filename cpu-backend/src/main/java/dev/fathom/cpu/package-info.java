/**
 * The CPU backend: weight layouts, a plan of scratch memory and a team of threads around the
 * kernels.
 *
 * <p>Read {@code CpuBackend} first. Dimension letters are those of {@code dev.fathom.program}.
 */
@NullMarked
package dev.fathom.cpu;

import org.jspecify.annotations.NullMarked;
