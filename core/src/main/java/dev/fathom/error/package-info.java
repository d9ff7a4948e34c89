/**
 * What can go wrong, as one sealed hierarchy: every error has a stable code, what, why and a fix.
 *
 * <p>Read {@code FathomException} first.
 */
@NullMarked
package dev.fathom.error;

import org.jspecify.annotations.NullMarked;
