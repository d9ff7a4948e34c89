/**
 * Number formats, packings and the mathematics of quantizers, without models, files or threads.
 *
 * <p>Read {@code WeightFormat} first.
 */
@NullMarked
package dev.fathom.quant;

import org.jspecify.annotations.NullMarked;
