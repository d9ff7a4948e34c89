/**
 * Tests that every backend passes: {@link dev.fathom.backend.contract.BackendContract} is the one
 * to extend, with nothing but the backend's provider.
 *
 * <p>Expected values come from plain float64 formulas ({@link
 * dev.fathom.backend.contract.Formulas}), never from another backend. Dimensions: T tokens, R rows,
 * C hidden, H heads, L latent rank, E experts, K experts a token, V vocabulary.
 */
@NullMarked
package dev.fathom.backend.contract;

import org.jspecify.annotations.NullMarked;
