package dev.fathom.kvcache;

import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Layers that share one block table: a sequence has one table for each group, and its block ids are
 * good for every layer of it.
 *
 * @param id index of the group in the model, from 0
 * @param specs the layers, at least one, each once
 */
public record KvGroup(int id, List<KvSpec> specs) {
  /**
   * Checks and copies.
   *
   * @throws IllegalArgumentException if the id is negative, there is no layer, or a layer is there
   *     twice
   */
  public KvGroup {
    Checks.atLeast(0, "id", id);
    specs = List.copyOf(specs);
    Checks.atLeast(1, "specs.size", specs.size());
    Set<Integer> layers = new HashSet<>();
    for (KvSpec spec : specs) {
      if (!layers.add(spec.layer())) {
        throw new IllegalArgumentException("must be there once: layer=" + spec.layer());
      }
    }
  }

  /** Tokens that one slot of the group's tables stands for. */
  public int tokensPerSlot() {
    return specs.getFirst().tokensPerSlot();
  }

  /** Newest tokens that must be kept, or 0 where all are. */
  public int windowTokens() {
    return specs.getFirst().windowTokens();
  }

  /** Slots that a sequence of this many tokens fills; only whole entries count. */
  public int slots(int numTokens) {
    return numTokens / tokensPerSlot();
  }

  /**
   * Rows of a block where a block of an uncompressed group has {@code blockTokens}: so many that a
   * block covers at least as many tokens. A compressed group thus has fewer rows in a block.
   */
  public int blockSlots(int blockTokens) {
    return Math.ceilDiv(blockTokens, tokensPerSlot());
  }

  /** Positions that a block of this group covers: {@link #blockSlots} times tokens of a slot. */
  public int blockSpan(int blockTokens) {
    return Math.multiplyExact(blockSlots(blockTokens), tokensPerSlot());
  }

  /** Elements that all layers of the group keep for a token. */
  public long elementsPerToken() {
    long elements = 0;
    for (KvSpec spec : specs) {
      elements += spec.elementsPerToken();
    }
    return elements;
  }

  /**
   * Bytes of one block, all layers of the group together.
   *
   * @param blockTokens tokens of a block of an uncompressed group; see {@link #blockSlots}
   * @throws IllegalArgumentException if {@code blockTokens} is below 1
   * @throws ArithmeticException if that does not fit a long
   */
  public long blockBytes(KvFormat format, int blockTokens) {
    long bytes = 0;
    for (KvSpec spec : specs) {
      bytes =
          Math.addExact(bytes, new KvLayout(spec, format, blockSlots(blockTokens)).blockBytes());
    }
    return bytes;
  }
}
