/**
 * Architectures of the DeepSeek family, each one file that describes a step of the model as a
 * program.
 *
 * <p>Read {@code DeepSeekV3} first. Dimension letters are those of {@link dev.fathom.program}.
 */
@NullMarked
package dev.fathom.arch;

import org.jspecify.annotations.NullMarked;
