package dev.fathom.kvcache;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Sorts the layers of a model into groups that share block tables.
 *
 * <p>Layers of the same kind need the same tokens for the same time, so one table serves them all.
 * Layers of a kind have the same window and the same tokens per slot. Threads: stateless.
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

  /** What layers must have in common to share a table. */
  private record Kind(
      Class<?> type, int tokensPerSlot, int windowTokens, KvSpec.@Nullable Stream stream) {}

  private static Kind kind(KvSpec spec) {
    KvSpec.Stream stream =
        switch (spec) {
          case KvSpec.CompressorRows rows -> rows.stream();
          case KvSpec.Compressed compressed -> compressed.stream();
          case KvSpec.Latent _, KvSpec.Full _, KvSpec.IndexerKeys _, KvSpec.SlidingWindow _ -> null;
        };
    return new Kind(spec.getClass(), spec.tokensPerSlot(), spec.windowTokens(), stream);
  }
}
