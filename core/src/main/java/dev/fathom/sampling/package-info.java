/**
 * From logits to a token: penalties, temperature, truncations and the random choice.
 *
 * <p>Read {@link dev.fathom.sampling.HostSampler} first. Dimension letters: V vocabulary.
 */
@NullMarked
package dev.fathom.sampling;

import org.jspecify.annotations.NullMarked;
