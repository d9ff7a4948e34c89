/**
 * Number formats, packings and the mathematics of quantizers, without models, files or threads.
 *
 * <p>Read {@link dev.fathom.quant.WeightFormat} first, then {@link dev.fathom.quant.WeightMatrix};
 * the bytes of each packing are drawn at its {@link dev.fathom.quant.WeightLayout}. Quantizers
 * ({@link dev.fathom.quant.BlockFp8Quantizer}, {@link dev.fathom.quant.Int8Quantizer}, {@link
 * dev.fathom.quant.Int4Quantizer} with {@link dev.fathom.quant.AwqSearch}) write forms that kernels
 * stream; {@link dev.fathom.quant.IntegerPacker} turns those into published ones and back.
 * Dimension letters: r row (output feature), c column (input feature), g group of columns, n
 * sample.
 */
@NullMarked
package dev.fathom.quant;

import org.jspecify.annotations.NullMarked;
