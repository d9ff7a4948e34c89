/**
 * The CUDA backend: kernels compiled at run time, device memory, graphs and collectives.
 *
 * <p>Read {@code CudaBackend} first. Dimension letters are those of {@code dev.fathom.program}.
 */
@NullMarked
package dev.fathom.cuda;

import org.jspecify.annotations.NullMarked;
