package dev.fathom.kvcache;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Sorts the layers of a model into groups that share block tables.
 *
 * <p>Layers of the same kind need the same tokens for the same time, so one table serves them all.
 * Kinds: latent, full, indexer keys. Threads: stateless.
 */
public final class KvGroups {
  private KvGroups() {}

  /**
   * One group for each kind, in the order in which the kinds first appear; the layers of a group
   * keep their order. No specs, no groups.
   *
   * @throws IllegalArgumentException if a layer is twice in a group
   */
  public static List<KvGroup> of(List<KvSpec> specs) {
    Map<Kind, List<KvSpec>> byKind = new LinkedHashMap<>();
    for (KvSpec spec : specs) {
      byKind.computeIfAbsent(kind(spec), kind -> new ArrayList<>()).add(spec);
    }
    List<KvGroup> groups = new ArrayList<>();
    for (List<KvSpec> members : byKind.values()) {
      groups.add(new KvGroup(groups.size(), members));
    }
    return List.copyOf(groups);
  }

  private enum Kind {
    LATENT,
    FULL,
    INDEXER_KEYS
  }

  private static Kind kind(KvSpec spec) {
    return switch (spec) {
      case KvSpec.Latent latent -> Kind.LATENT;
      case KvSpec.Full full -> Kind.FULL;
      case KvSpec.IndexerKeys keys -> Kind.INDEXER_KEYS;
    };
  }
}
