/**
 * Writes checkpoints of random weights in the published formats, for tests and for trying sizes.
 *
 * <p>Read {@link dev.fathom.examples.synth.SyntheticCheckpoint} first.
 */
@NullMarked
package dev.fathom.examples.synth;

import org.jspecify.annotations.NullMarked;
