/**
 * Bookkeeping of a paged key-value cache: blocks, block tables, shared prefixes and eviction; never
 * the bytes themselves.
 *
 * <p>Read {@link dev.fathom.kvcache.BlockPool} first. Dimension letters: N blocks of a pool, B
 * tokens of a block, R latent rank, H key-value heads, D head dimension.
 */
@NullMarked
package dev.fathom.kvcache;

import org.jspecify.annotations.NullMarked;
