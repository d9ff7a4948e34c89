/** The architecture of docs/adding-an-architecture.md. */
@NullMarked
package dev.fathom.guide;

import org.jspecify.annotations.NullMarked;
