/**
 * The errors a user can meet: one sealed hierarchy, each with a stable code, what, why and a fix.
 *
 * <p>Read {@link dev.fathom.error.FathomException} first. The leaf modules throw {@link
 * IllegalArgumentException}; core wraps what a user can meet.
 */
@NullMarked
package dev.fathom.error;

import org.jspecify.annotations.NullMarked;
