package dev.fathom.kvcache;

/**
 * Who may share prefixes with whom: only sequences of an equal scope do.
 *
 * @param saltHigh upper half of a digest of the tenant, 0 for none
 * @param saltLow lower half
 * @param adapter id of the adapter that computes, 0 for none
 */
public record PrefixScope(long saltHigh, long saltLow, long adapter) {
  /** No tenant and no adapter. */
  public static final PrefixScope SHARED = new PrefixScope(0, 0, 0);
}
