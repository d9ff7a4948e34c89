/**
 * Text to tokens and back: tokenizer, prompt encoders of the model families, stream parsers.
 *
 * <p>Read {@code Tokenizer} first.
 */
@NullMarked
package dev.fathom.text;

import org.jspecify.annotations.NullMarked;
