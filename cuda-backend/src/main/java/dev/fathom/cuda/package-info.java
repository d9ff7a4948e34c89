/**
 * The CUDA backend. This release probes for a device and says what it found; it has no kernels yet.
 *
 * <p>Read {@link dev.fathom.cuda.CudaProvider} first. Dimension letters are those of {@code
 * dev.fathom.program}.
 */
@NullMarked
package dev.fathom.cuda;

import org.jspecify.annotations.NullMarked;
