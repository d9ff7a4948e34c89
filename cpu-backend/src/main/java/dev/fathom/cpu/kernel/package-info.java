/**
 * Vector kernels: stateless loops over arrays and memory segments.
 *
 * <p>Read {@link dev.fathom.cpu.kernel.Matrix} first. The only package that touches {@code
 * jdk.incubator.vector}. A kernel is entry, vector body, scalar tail, and adds in one fixed order
 * for each output element, so that neither batch mates nor threads change a bit. Dimensions: L
 * lanes of a float vector, R rows and C columns of a matrix, N vectors that are multiplied.
 */
@NullMarked
package dev.fathom.cpu.kernel;

import org.jspecify.annotations.NullMarked;
