/**
 * Products of many tokens through the oneDNN library, where a program wants it and brings the
 * library along: bfloat16 weights and activations, float32 sums.
 *
 * <p>Read {@link dev.fathom.cpu.onednn.Products} first. The library is called through {@code
 * java.lang.foreign} alone; the jar that holds it is a resource and none of its classes is used.
 * Dimensions: R rows and C columns of a matrix, M tokens that are multiplied.
 */
@NullMarked
package dev.fathom.cpu.onednn;

import org.jspecify.annotations.NullMarked;
