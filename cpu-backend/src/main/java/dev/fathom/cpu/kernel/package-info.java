/**
 * Vector kernels: stateless loops over arrays and memory segments.
 *
 * <p>The only package that touches {@code jdk.incubator.vector}. A kernel is entry, vector body,
 * scalar tail.
 */
@NullMarked
package dev.fathom.cpu.kernel;

import org.jspecify.annotations.NullMarked;
