/**
 * The reference backend: every operation in plain scalar Java, the oracle of all other backends.
 *
 * <p>Read {@code ReferenceBackend} first. Dimension letters are those of {@link
 * dev.fathom.program}.
 */
@NullMarked
package dev.fathom.backend.reference;

import org.jspecify.annotations.NullMarked;
