/**
 * The API of Fathom: load a DeepSeek checkpoint, generate text, stream it, plan its memory.
 *
 * <p>Read {@code DeepSeekModel} first. Nothing below this package imports it.
 */
@NullMarked
package dev.fathom;

import org.jspecify.annotations.NullMarked;
