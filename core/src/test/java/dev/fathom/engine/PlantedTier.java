package dev.fathom.engine;

import dev.fathom.kvcache.BlockKey;
import dev.fathom.kvcache.BlockTier;
import dev.fathom.kvcache.PrefixScope;
import dev.fathom.kvcache.UnitKey;
import java.util.function.BooleanSupplier;

/** A second tier as it is, or with a planted bug; loses blocks when the simulation says so. */
final class PlantedTier implements BlockTier {

  private final BlockTier tier;
  private final PlantedBug bug;
  private final BooleanSupplier loses;

  PlantedTier(BlockTier tier, PlantedBug bug, BooleanSupplier loses) {
    this.tier = tier;
    this.bug = bug;
    this.loses = loses;
  }

  private BlockKey key(BlockKey key) {
    return bug == PlantedBug.TIER_MIXES_BLOCKS
        ? new BlockKey(
            new UnitKey(key.unit().a() & 3, 0, 0, 0), PrefixScope.SHARED, key.group(), key.index())
        : key;
  }

  @Override
  public void keep(BlockKey key, int block) {
    tier.keep(key(key), block);
  }

  @Override
  public boolean has(BlockKey key) {
    return tier.has(key(key));
  }

  @Override
  public boolean bringBack(BlockKey key, int block) {
    if (loses.getAsBoolean()) {
      return false;
    }
    return bug == PlantedBug.TIER_FILLS_NOTHING || tier.bringBack(key(key), block);
  }
}
