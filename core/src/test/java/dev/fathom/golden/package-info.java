/**
 * Whole models against what other implementations computed for them: {@link
 * dev.fathom.golden.GoldenContract} is the one to extend, with nothing but a backend's provider.
 *
 * <p>Dimensions: T tokens, C hidden, V vocabulary.
 */
@NullMarked
package dev.fathom.golden;

import org.jspecify.annotations.NullMarked;
