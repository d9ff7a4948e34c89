package dev.fathom.backend.reference;

import dev.fathom.backend.PlacedWeight;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightMatrix;

/**
 * A weight as the checkpoint stores it; rows are decoded when they are used.
 *
 * @param ref which weight this is
 * @param matrix its stored bytes
 */
record ReferenceWeight(WeightRef ref, WeightMatrix matrix) implements PlacedWeight {}
