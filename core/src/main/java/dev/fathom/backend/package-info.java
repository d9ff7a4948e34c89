/**
 * What a backend offers and what a step carries: the seam between the engine and the kernels.
 *
 * <p>Read {@link dev.fathom.backend.BackendProvider}, then {@link dev.fathom.backend.Executable}
 * and {@link dev.fathom.backend.StepBatch}. Dimensions: T tokens of the step, R wanted rows, S
 * sequences of the step, G KV groups, V vocabulary.
 */
@NullMarked
package dev.fathom.backend;

import org.jspecify.annotations.NullMarked;
