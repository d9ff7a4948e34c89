package dev.fathom.grammar;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Whole masks of configurations with all that lies below them, the ones used last. A document comes
 * back to the same context again and again: the elements of an array, the properties of its
 * objects; and so do the answers to requests with one schema.
 *
 * <p>Callers hold the monitor of the {@link ConfigurationGraph} that owns it.
 */
final class MaskCache {

  private static final int MAX_MASKS = 128;
  private static final int MAX_FRAMES = 4_096;

  private final Map<Key, long[]> masks =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Key, long[]> eldest) {
          return size() > MAX_MASKS;
        }
      };

  /** A configuration by what it is down to the bottom. */
  private record Key(Configuration at) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Key key && at.sameBelow(key.at, MAX_FRAMES);
    }

    @Override
    public int hashCode() {
      return at.hashCode();
    }
  }

  /** Returns the mask of a configuration; null if it is not known. Callers only read. */
  long @Nullable [] get(Configuration at) {
    return masks.get(new Key(at));
  }

  /** Keeps a copy of a mask. */
  void put(Configuration at, long[] mask) {
    masks.put(new Key(at), mask.clone());
  }
}
