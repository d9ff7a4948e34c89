package dev.fathom.engine;

/**
 * How many adapters an engine holds.
 *
 * @param slots adapters at once, 0 for none
 * @param bytes of all adapters together
 */
public record AdapterLimits(int slots, long bytes) {

  /** No adapters. */
  public static final AdapterLimits NONE = new AdapterLimits(0, 0);

  /** Checks that neither is negative. */
  public AdapterLimits {
    if (slots < 0 || bytes < 0) {
      throw new IllegalArgumentException("must be >= 0: slots=" + slots + " bytes=" + bytes);
    }
  }
}
