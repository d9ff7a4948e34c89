/**
 * A model as data: one step of a model as a list of operations with inferred shapes.
 *
 * <p>Read {@code Program} first. Dimension letters: T tokens of a step, C hidden size, H heads, D
 * head dimension, R latent rank, E experts, V vocabulary.
 */
@NullMarked
package dev.fathom.program;

import org.jspecify.annotations.NullMarked;
