package dev.fathom.kvcache;

/**
 * Names a block outside the pool: what it holds, and whose it is.
 *
 * @param unit the tokens up to the end of its unit, with their scope
 * @param scope whose it is; only requests of an equal scope have the same unit
 * @param group group of the block
 * @param index which of the unit's blocks in the group
 */
public record BlockKey(UnitKey unit, PrefixScope scope, int group, int index) {}
