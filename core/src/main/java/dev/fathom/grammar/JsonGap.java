package dev.fathom.grammar;

/** Where white space may stand in JSON that is written under a grammar. */
public enum JsonGap {
  /** Nowhere. */
  NONE,

  /**
   * One space behind commas and colons, or a line feed and up to 32 spaces or tabs behind commas
   * and inside brackets: what models write, within bounds, so that none can go on for ever.
   */
  FLEXIBLE
}
