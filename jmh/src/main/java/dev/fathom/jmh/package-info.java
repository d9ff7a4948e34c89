/** Benchmarks, one for each kernel, named after the kernel. */
@NullMarked
package dev.fathom.jmh;

import org.jspecify.annotations.NullMarked;
