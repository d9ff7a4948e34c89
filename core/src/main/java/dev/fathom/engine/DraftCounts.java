package dev.fathom.engine;

/**
 * What came of guesses.
 *
 * @param drafted guesses that a step verified
 * @param accepted those that held
 * @param firstDrafted steps that verified at least one
 * @param firstAccepted those steps whose first guess held
 */
public record DraftCounts(int drafted, int accepted, int firstDrafted, int firstAccepted) {

  /** Nothing was guessed. */
  public static final DraftCounts NONE = new DraftCounts(0, 0, 0, 0);

  /** Returns these counts and others together. */
  public DraftCounts plus(DraftCounts other) {
    return new DraftCounts(
        drafted + other.drafted,
        accepted + other.accepted,
        firstDrafted + other.firstDrafted,
        firstAccepted + other.firstAccepted);
  }
}
