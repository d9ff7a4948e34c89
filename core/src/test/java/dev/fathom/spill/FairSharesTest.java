package dev.fathom.spill;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.kvcache.BlockKey;
import dev.fathom.kvcache.PrefixScope;
import dev.fathom.kvcache.UnitKey;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class FairSharesTest {

  /** The rule, written down without any index. */
  private static final class Plain {
    final List<BlockKey> byUse = new ArrayList<>();
    final List<Long> bytes = new ArrayList<>();

    long bytesOf(long tenant) {
      long sum = 0;
      for (int i = 0; i < byUse.size(); i++) {
        sum += byUse.get(i).scope().saltHigh() == tenant ? bytes.get(i) : 0;
      }
      return sum;
    }

    void remove(BlockKey key) {
      int at = byUse.indexOf(key);
      byUse.remove(at);
      bytes.remove(at);
    }
  }

  @Test
  void theOldestOfWhoeverHasMostGoesNext() {
    for (int seed = 0; seed < 50; seed++) {
      SplittableRandom random = new SplittableRandom(seed);
      FairShares<String> shares = new FairShares<>();
      Plain plain = new Plain();
      for (int i = 0; i < 300; i++) {
        BlockKey key =
            new BlockKey(
                new UnitKey(random.nextInt(12), 0, 0, 0),
                new PrefixScope(random.nextInt(4), 0, random.nextInt(2)),
                0,
                0);
        step(random, shares, plain, key);
        check(shares, plain);
      }
    }
  }

  private static void step(
      SplittableRandom random, FairShares<String> shares, Plain plain, BlockKey key) {
    boolean known = plain.byUse.contains(key);
    assertThat(shares.contains(key)).isEqualTo(known);
    if (known && random.nextBoolean()) {
      assertThat(shares.get(key)).isEqualTo(key.toString());
      long bytes = plain.bytes.get(plain.byUse.indexOf(key));
      plain.remove(key);
      plain.byUse.add(key);
      plain.bytes.add(bytes);
    } else if (known) {
      assertThat(shares.remove(key)).isEqualTo(key.toString());
      plain.remove(key);
    } else {
      assertThat(shares.get(key)).isNull();
      assertThat(shares.remove(key)).isNull();
      long bytes = 1L + random.nextInt(5);
      shares.put(key, key.toString(), bytes);
      plain.byUse.add(key);
      plain.bytes.add(bytes);
    }
  }

  private static void check(FairShares<String> shares, Plain plain) {
    assertThat(shares.size()).isEqualTo(plain.byUse.size());
    assertThat(shares.bytes()).isEqualTo(plain.bytes.stream().mapToLong(b -> b).sum());
    BlockKey next = shares.next();
    if (next == null) {
      assertThat(plain.byUse).isEmpty();
      return;
    }
    long tenant = next.scope().saltHigh();
    for (long other = 0; other < 4; other++) {
      assertThat(plain.bytesOf(tenant)).isGreaterThanOrEqualTo(plain.bytesOf(other));
    }
    BlockKey oldest =
        plain.byUse.stream().filter(k -> k.scope().saltHigh() == tenant).findFirst().orElseThrow();
    assertThat(next).isEqualTo(oldest);
  }
}
