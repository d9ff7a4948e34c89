/**
 * Mixture of experts: which experts see which token, and with what weight.
 *
 * <p>Read {@link dev.fathom.moe.RouterSpec} first. Dimension letters: T tokens of a step, E
 * experts, K experts chosen for a token, G groups of experts.
 */
@NullMarked
package dev.fathom.moe;

import org.jspecify.annotations.NullMarked;
