package dev.fathom.engine;

/** A bug that is planted into the simulation, to see whether it is found. */
enum PlantedBug {
  NONE,
  /** Copies on write are decided but not made. */
  COPIES_ARE_DROPPED,
  /** Tenants are not told apart. */
  TENANTS_SHARE,
  /** Blocks can be found before the step that fills them ran. */
  PUBLISHED_BEFORE_THE_STEP,
  /** A shared block has a reference too few. */
  REFERENCE_IS_SKIPPED,
  /** What gave up its blocks goes on as if it had them. */
  PREEMPTED_KEEPS_ITS_PLACE,
  /** Blocks leave a window a token too early. */
  WINDOW_IS_SHORT,
  /** Who is cancelled keeps its blocks. */
  CANCELLED_KEEPS_ITS_BLOCKS,
  /** Who waits cannot be cancelled. */
  CANCEL_IS_LOST,
  /** More is published than was computed. */
  PUBLISHED_TOO_FAR,
  /** A prefix is taken from a sequence that has not computed it. */
  LEADER_IS_NOT_AWAITED,
  /** A row more than computed is believed cached. */
  COUNTS_ONE_TOO_MANY,
  /** A waiting sequence starts before one in front of it. */
  QUEUE_IS_JUMPED,
  /** What ended is forgotten without its listener hearing of it. */
  END_IS_SILENT,
  /** Beams that wait for their siblings keep the blocks that these need. */
  BEAMS_KEEP_THEIR_BLOCKS,
  /** The end is told twice. */
  END_IS_TOLD_TWICE,
  /** The second tier takes blocks of other prefixes and tenants for the wanted one. */
  TIER_MIXES_BLOCKS,
  /** The second tier brings a block back without its bytes. */
  TIER_FILLS_NOTHING
}
