package dev.fathom.spill;

import dev.fathom.kvcache.BlockKey;
import dev.fathom.kvcache.PrefixScope;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What is kept for each tenant, the least recently used first. Who has most gives first, so one
 * tenant that floods the tier drives out its own blocks rather than those of others. One thread.
 *
 * @param <V> what is kept under a key
 */
final class FairShares<V> {

  /** A tenant's part. */
  private static final class Share<V> implements Comparable<Share<V>> {
    final long number;
    final LinkedHashMap<BlockKey, Kept<V>> kept = new LinkedHashMap<>(16, 0.75f, true);
    long bytes;

    Share(long number) {
      this.number = number;
    }

    @Override
    public int compareTo(Share<V> other) {
      int order = Long.compare(bytes, other.bytes);
      return order != 0 ? order : Long.compare(other.number, number);
    }
  }

  private record Kept<V>(V value, long bytes) {}

  /** A tenant, whatever its adapters. */
  private record Tenant(long saltHigh, long saltLow) {
    static Tenant of(PrefixScope scope) {
      return new Tenant(scope.saltHigh(), scope.saltLow());
    }
  }

  private final Map<Tenant, Share<V>> shares = new HashMap<>();
  private final TreeSet<Share<V>> byBytes = new TreeSet<>();
  private long bytes;
  private int size;
  private long numShares;

  /** Bytes of all. */
  long bytes() {
    return bytes;
  }

  /** Number of all. */
  int size() {
    return size;
  }

  boolean contains(BlockKey key) {
    Share<V> share = shares.get(Tenant.of(key.scope()));
    return share != null && share.kept.containsKey(key);
  }

  /** Returns what is kept under a key, and notes the use; or null. */
  @Nullable V get(BlockKey key) {
    Share<V> share = shares.get(Tenant.of(key.scope()));
    Kept<V> kept = share == null ? null : share.kept.get(key);
    return kept == null ? null : kept.value();
  }

  /** Keeps something under a key that is not in use. */
  void put(BlockKey key, V value, long valueBytes) {
    Tenant tenant = Tenant.of(key.scope());
    Share<V> share = shares.get(tenant);
    if (share == null) {
      share = new Share<>(numShares++);
      shares.put(tenant, share);
    }
    if (share.kept.containsKey(key)) {
      throw new IllegalStateException("must not be kept yet: key=" + key);
    }
    resize(share, valueBytes);
    share.kept.put(key, new Kept<>(value, valueBytes));
    size++;
  }

  private void resize(Share<V> share, long change) {
    byBytes.remove(share);
    share.bytes += change;
    bytes += change;
    byBytes.add(share);
  }

  /** Forgets a key; returns what was kept, or null. */
  @Nullable V remove(BlockKey key) {
    Tenant tenant = Tenant.of(key.scope());
    Share<V> share = shares.get(tenant);
    Kept<V> kept = share == null ? null : share.kept.remove(key);
    if (share == null || kept == null) {
      return null;
    }
    resize(share, -kept.bytes());
    size--;
    if (share.kept.isEmpty()) {
      byBytes.remove(share);
      shares.remove(tenant);
    }
    return kept.value();
  }

  /** Returns the key that should go next: the oldest of whoever has most; or null. */
  @Nullable BlockKey next() {
    return byBytes.isEmpty() ? null : byBytes.last().kept.keySet().iterator().next();
  }
}
