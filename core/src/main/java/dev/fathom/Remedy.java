package dev.fathom;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * One way to make a model fit, computed with the same plan that refused it.
 *
 * @param text the change as a user writes it, such as {@code contextTokens(4096)}
 * @param options the changed options, or null where the change is not one of options
 * @param totalBytes what the model needs after the change
 * @param fits whether that is available
 */
public record Remedy(String text, @Nullable LoadOptions options, long totalBytes, boolean fits) {

  /** Returns the change and what it leads to. */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT, "%s -> needs %s%s", text, Bytes.of(totalBytes), fits ? " (fits)" : "");
  }
}
