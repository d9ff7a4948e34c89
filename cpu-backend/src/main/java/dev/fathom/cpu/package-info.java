/**
 * The CPU backend: operations bound to vector kernels, a plan of scratch memory and a team of
 * threads.
 *
 * <p>Read {@link dev.fathom.cpu.CpuProvider} and the executable behind it first. Results depend
 * neither on batch mates nor on the number of threads. Dimensions: T tokens, C hidden, H heads, R
 * latent rank, D rotated dimensions, E experts, K experts a token, M expert width, V vocabulary.
 */
@NullMarked
package dev.fathom.cpu;

import org.jspecify.annotations.NullMarked;
