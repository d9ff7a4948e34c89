/**
 * Checkpoints on disk: safetensors shards, their index, and the configuration of the model.
 *
 * <p>Read {@code Checkpoint} first.
 */
@NullMarked
package dev.fathom.checkpoint;

import org.jspecify.annotations.NullMarked;
