/** Quantizers of whole checkpoints, on goldens of every family. */
package dev.fathom.quantization;
