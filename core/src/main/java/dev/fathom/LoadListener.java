package dev.fathom;

/**
 * Hears how loading goes, on the loading thread: at each change of phase and a few times a second
 * while weights are read. What it throws ends the loading.
 */
@FunctionalInterface
public interface LoadListener {

  /** Takes the news. */
  void onProgress(LoadProgress progress);
}
