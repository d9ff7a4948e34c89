/**
 * The model families: one file each, which describes a step of the model as a program.
 *
 * <p>Read {@link dev.fathom.arch.DeepSeekV3} first. Families are chosen by config.json and do not
 * use each other. Dimensions: T tokens, C hidden, H heads, D head dimension, L latent rank, E
 * experts, K experts a token, V vocabulary.
 */
@NullMarked
package dev.fathom.arch;

import org.jspecify.annotations.NullMarked;
