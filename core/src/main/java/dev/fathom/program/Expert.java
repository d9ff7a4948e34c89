package dev.fathom.program;

/**
 * The three matrices of one routed expert.
 *
 * @param gate [moe_intermediate, C]
 * @param up [moe_intermediate, C]
 * @param down [C, moe_intermediate]
 */
public record Expert(WeightRef gate, WeightRef up, WeightRef down) {}
