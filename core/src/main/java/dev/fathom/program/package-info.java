/**
 * One step of a model, described as a list of operations that a backend compiles.
 *
 * <p>Read {@link dev.fathom.program.ProgramBuilder} first: an architecture calls it, nothing runs
 * while it describes. Dimensions: T tokens of the step, R wanted rows of the step, C hidden, H
 * heads, D head dimension, L latent rank (kv_lora_rank), E experts, K experts per token, V
 * vocabulary.
 */
@NullMarked
package dev.fathom.program;

import org.jspecify.annotations.NullMarked;
