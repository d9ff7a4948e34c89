/**
 * From logits to a token: temperature, truncations, penalties and the random choice.
 *
 * <p>Read {@code Sampler} first. Dimension letters: V vocabulary.
 */
@NullMarked
package dev.fathom.sampling;

import org.jspecify.annotations.NullMarked;
