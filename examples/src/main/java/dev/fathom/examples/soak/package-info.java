/**
 * A soak test: hundreds of clients that ask, stream, cancel, hang up and are refused, while memory,
 * threads and KV blocks are watched.
 *
 * <p>Read {@link dev.fathom.examples.soak.Soak}.
 */
@NullMarked
package dev.fathom.examples.soak;

import org.jspecify.annotations.NullMarked;
