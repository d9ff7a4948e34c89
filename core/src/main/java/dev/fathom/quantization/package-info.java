/**
 * Makes quantized checkpoints of others: what to quantize and how, calibration, and streaming shard
 * by shard.
 *
 * <p>Read {@link dev.fathom.quantization.QuantizationRecipe} first, then {@link
 * dev.fathom.quantization.CheckpointQuantizer}. The mathematics is that of {@code
 * dev.fathom.quant}. Dimension letters: n samples, C columns (inputs) of a weight, R rows
 * (outputs), E experts.
 */
@NullMarked
package dev.fathom.quantization;

import org.jspecify.annotations.NullMarked;
