/**
 * A second tier for blocks of the KV cache: those that the pool gives out again go to host memory
 * and to files, and come back when a request begins with them.
 *
 * <p>Read {@link dev.fathom.spill.BlockSpill} first, then {@link dev.fathom.spill.BlockFiles}.
 */
@NullMarked
package dev.fathom.spill;

import org.jspecify.annotations.NullMarked;
