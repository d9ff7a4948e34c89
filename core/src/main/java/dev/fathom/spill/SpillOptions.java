package dev.fathom.spill;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How much a second tier keeps, and where.
 *
 * @param hostBytes bytes of host memory for blocks, 0 for none
 * @param folder where files go, or null for none
 * @param folderBytes most bytes of the files of this model, all tenants together
 * @param fingerprint tells models, formats and layouts apart; only files with this one are read
 */
public record SpillOptions(
    long hostBytes, @Nullable Path folder, long folderBytes, String fingerprint) {

  /** No second tier. */
  public static final SpillOptions NONE = new SpillOptions(0, null, 0, "");

  /** Checks the sizes. */
  public SpillOptions {
    if (hostBytes < 0 || folderBytes < 0) {
      throw new IllegalArgumentException(
          "must be >= 0: hostBytes=" + hostBytes + " folderBytes=" + folderBytes);
    }
  }

  /** Returns whether there is a tier at all. */
  public boolean isOn() {
    return hostBytes > 0 || folder != null;
  }
}
