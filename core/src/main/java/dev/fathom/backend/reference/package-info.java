/**
 * The reference backend: every operation in plain scalar Java, the oracle of all tests.
 *
 * <p>Read {@link dev.fathom.backend.reference.ReferenceExecutable} first. Dot products are summed
 * in double in one fixed order for each output element, so a result depends on nothing but its
 * inputs: not on batch mates, chunks or cache hits. Dimensions: T tokens, R rows, C hidden, H
 * heads, L latent rank, E experts, K experts a token, V vocabulary.
 */
@NullMarked
package dev.fathom.backend.reference;

import org.jspecify.annotations.NullMarked;
