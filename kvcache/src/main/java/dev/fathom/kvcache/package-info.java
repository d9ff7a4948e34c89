/**
 * Bookkeeping of a paged key-value cache: blocks, block tables, shared prefixes and eviction; never
 * the bytes themselves.
 *
 * <p>Read {@code BlockPool} first.
 */
@NullMarked
package dev.fathom.kvcache;

import org.jspecify.annotations.NullMarked;
