/**
 * A strict reader and a writer of JSON (RFC 8259); internal to this module.
 *
 * <p>Read {@code Json} first.
 */
@NullMarked
package dev.fathom.json;

import org.jspecify.annotations.NullMarked;
