/**
 * Number formats, packings and the mathematics of quantizers, without models, files or threads.
 *
 * <p>Read {@link dev.fathom.quant.WeightFormat} first, then {@link dev.fathom.quant.WeightMatrix}.
 * Dimension letters: r row (output feature), c column (input feature).
 */
@NullMarked
package dev.fathom.quant;

import org.jspecify.annotations.NullMarked;
