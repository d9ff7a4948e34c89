package dev.fathom.spill;

import dev.fathom.backend.Executable;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.kvcache.BlockKey;
import dev.fathom.kvcache.BlockTier;
import dev.fathom.kvcache.GroupPool;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The second tier: blocks go from the pool into host memory, and from there, where a folder was
 * given, into files; each place drops what was not used for longest, of the tenant that has most.
 * They come back from wherever they are, and stay there too.
 *
 * <p>Host memory is one piece from the start, cut into slots of each group in the proportion of the
 * pools. A few slots more hold what is being written. The engine's thread alone calls; reading a
 * file is done on it, writing is not. Blocks computed with an adapter stay out of files, as the
 * adapter's id ends with the process.
 *
 * <p>What cannot be kept or brought back, for whatever reason, is a miss.
 */
public final class BlockSpill implements BlockTier, AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(BlockSpill.class);
  private static final int WRITING_SLOTS = 8;
  private static final int MAX_SLOTS = 1 << 30;

  private final Executable executable;
  private final Arena arena = Arena.ofShared();
  private final long[] blockBytes;
  private final int[] hostSlots;
  private final List<ArrayDeque<MemorySegment>> free = new ArrayList<>();
  private final List<FairShares<MemorySegment>> host = new ArrayList<>();
  private final Map<BlockKey, MemorySegment> writing = new HashMap<>();
  private final @Nullable BlockFiles files;
  private long numKept;
  private long numDropped;
  private long numDamaged;

  /**
   * Takes the memory and opens the folder.
   *
   * @param executable its blocks are kept; must outlive this
   * @param pools the groups
   * @throws InvalidRequestException if the memory holds less than a block of each group, or the
   *     folder cannot be used
   */
  public BlockSpill(Executable executable, List<GroupPool> pools, SpillOptions options) {
    this.executable = executable;
    int n = executable.numKvGroups();
    this.blockBytes = new long[n];
    long poolBytes = 0;
    for (int g = 0; g < n; g++) {
      blockBytes[g] = executable.blockBytes(g);
      poolBytes += blockBytes[g] * pools.get(g).numBlocks();
    }
    this.hostSlots = new int[n];
    try {
      for (int g = 0; g < n; g++) {
        hostSlots[g] = slots(options.hostBytes(), pools.get(g).numBlocks(), poolBytes);
        takeMemory(g, hostSlots[g] + (options.folder() == null ? 0 : WRITING_SLOTS));
        host.add(new FairShares<>());
      }
      this.files =
          options.folder() == null
              ? null
              : new BlockFiles(
                  options.folder(), options.fingerprint(), options.folderBytes(), blockBytes);
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  private static int slots(long hostBytes, int poolBlocks, long poolBytes) {
    double slots = (double) hostBytes * poolBlocks / Math.max(1, poolBytes);
    if (hostBytes > 0 && slots < 1) {
      throw new InvalidRequestException(
          ErrorCode.REQUEST_INVALID,
          "The host memory for KV blocks is too small",
          "must hold a block of each group: bytes="
              + hostBytes
              + " needed="
              + Math.ceilDiv(poolBytes, poolBlocks),
          "give at least so many bytes, or 0 for none");
    }
    return (int) Math.min(slots, MAX_SLOTS);
  }

  /**
   * Returns the bytes that a tier takes of host memory at most.
   *
   * @param blockBytes bytes of a block of all groups together
   */
  public static long memoryBytes(SpillOptions options, long blockBytes) {
    long writing = options.folder() == null ? 0 : WRITING_SLOTS * blockBytes;
    return Math.addExact(options.hostBytes(), writing);
  }

  private void takeMemory(int group, int count) {
    ArrayDeque<MemorySegment> slots = new ArrayDeque<>(count);
    MemorySegment all = arena.allocate(Math.multiplyExact(blockBytes[group], (long) count), 64);
    for (int i = 0; i < count; i++) {
      slots.add(all.asSlice(i * blockBytes[group], blockBytes[group]));
    }
    free.add(slots);
  }

  /** Returns how many blocks were taken. */
  public long numKept() {
    return numKept;
  }

  /** Returns how many blocks were lost because there was no room, or nobody could write them. */
  public long numDropped() {
    return numDropped;
  }

  /** Returns how many blocks were in files but not as they were written. */
  public long numDamaged() {
    return numDamaged;
  }

  @Override
  public void keep(BlockKey key, int block) {
    collect();
    int g = key.group();
    if (host.get(g).get(key) != null || writing.containsKey(key)) {
      return;
    }
    if (hostSlots[g] == 0 && (files == null || files.has(key) || key.scope().adapter() != 0)) {
      return;
    }
    MemorySegment slot = slotFor(g);
    if (slot == null) {
      numDropped++;
      return;
    }
    try {
      executable.exportBlock(g, block, slot);
    } catch (RuntimeException e) {
      log.warn("a KV block cannot be kept: reason={}", e.toString());
      free.get(g).add(slot);
      numDropped++;
      return;
    }
    numKept++;
    if (hostSlots[g] > 0) {
      host.get(g).put(key, slot, blockBytes[g]);
    } else if (!write(key, slot)) {
      free.get(g).add(slot);
      numDropped++;
    }
  }

  /** A slot to fill: a free one as long as the group has not all it may have, else the oldest. */
  private @Nullable MemorySegment slotFor(int g) {
    FairShares<MemorySegment> kept = host.get(g);
    if (hostSlots[g] > 0 && kept.size() >= hostSlots[g]) {
      BlockKey oldest = kept.next();
      MemorySegment slot = oldest == null ? null : kept.remove(oldest);
      if (oldest == null || slot == null || !write(oldest, slot)) {
        return slot;
      }
    }
    return free.get(g).poll();
  }

  /** Hands a block to the files; false where it stays the caller's. */
  private boolean write(BlockKey key, MemorySegment slot) {
    int g = key.group();
    if (files == null
        || key.scope().adapter() != 0
        || files.has(key)
        || writing.containsKey(key)
        || (hostSlots[g] > 0 && free.get(g).isEmpty())) {
      return false;
    }
    Runnable after =
        () -> {
          writing.remove(key);
          free.get(g).add(slot);
        };
    if (!files.write(key, slot, after)) {
      return false;
    }
    writing.put(key, slot);
    return true;
  }

  private void collect() {
    if (files != null) {
      files.collect();
    }
  }

  @Override
  public boolean has(BlockKey key) {
    collect();
    return host.get(key.group()).contains(key)
        || writing.containsKey(key)
        || (files != null && key.scope().adapter() == 0 && files.has(key));
  }

  @Override
  public boolean bringBack(BlockKey key, int block) {
    collect();
    int g = key.group();
    MemorySegment slot = host.get(g).get(key);
    slot = slot == null ? writing.get(key) : slot;
    try {
      if (slot != null) {
        executable.importBlock(g, block, slot);
        return true;
      }
      return readBack(key, block);
    } catch (RuntimeException e) {
      log.warn("a KV block cannot be brought back: reason={}", e.toString());
      return false;
    }
  }

  private boolean readBack(BlockKey key, int block) {
    int g = key.group();
    MemorySegment buffer = free.get(g).poll();
    if (files == null || buffer == null || key.scope().adapter() != 0) {
      if (buffer != null) {
        free.get(g).add(buffer);
      }
      return false;
    }
    try {
      boolean known = files.has(key);
      if (files.read(key, buffer)) {
        executable.importBlock(g, block, buffer);
        return true;
      }
      numDamaged += known ? 1 : 0;
      return false;
    } finally {
      free.get(g).add(buffer);
    }
  }

  /** Ends what is being written and frees the memory. Idempotent. */
  @Override
  public void close() {
    if (!arena.scope().isAlive()) {
      return;
    }
    if (files != null && !files.end()) {
      log.warn("KV blocks are still being written; their memory is not freed");
      return;
    }
    arena.close();
  }
}
