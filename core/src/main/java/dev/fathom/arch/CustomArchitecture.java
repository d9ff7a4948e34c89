package dev.fathom.arch;

/**
 * A model family that is not part of this library: see docs/adding-an-architecture.md.
 *
 * <p>It is named when a model is loaded and goes before the registry; there is no global one, so
 * two models of a process can differ.
 */
public non-sealed interface CustomArchitecture extends Architecture {}
