package dev.fathom.engine;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.Text;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Which adapters are loaded, in which slots of the executable, and how many requests use each.
 *
 * <p>An adapter that is unloaded takes no new request; its slot is free again when the last request
 * that uses it has ended. Safe for all threads; the slots themselves are set by the engine's thread
 * alone.
 */
final class AdapterTable {

  private final Map<String, Entry> byName = new TreeMap<>();
  private final boolean[] taken;
  private final long maxBytes;
  private long bytes;
  private long lastId;

  /**
   * A loaded adapter.
   *
   * <p>Its id is never given twice, not even to a later adapter of the same name: keys of cached
   * prefixes carry it.
   */
  static final class Entry {

    /** Name in requests. */
    final String name;

    /** Slot of the executable. */
    final int slot;

    /** 1 or more, unique in the engine. */
    final long id;

    private final long bytes;
    private int uses;
    private boolean ready;
    private boolean retired;

    private Entry(String name, int slot, long id, long bytes) {
      this.name = name;
      this.slot = slot;
      this.id = id;
      this.bytes = bytes;
    }
  }

  /**
   * Creates an empty table.
   *
   * @param slots adapters at once, 0 where there are none
   * @param maxBytes bytes of all adapters together
   */
  AdapterTable(int slots, long maxBytes) {
    this.taken = new boolean[slots];
    this.maxBytes = maxBytes;
  }

  /**
   * Takes a slot for an adapter that is about to be set; {@link #publish} lets requests use it.
   *
   * @throws InvalidRequestException if the name is in use, no slot is free or the bytes are too
   *     many
   */
  synchronized Entry reserve(String name, long adapterBytes) {
    if (byName.containsKey(name)) {
      throw new InvalidRequestException(
          ErrorCode.ADAPTER_NAME_IN_USE,
          "The adapter " + Text.quote(name) + " cannot be loaded",
          "an adapter of this name is loaded",
          "unload it first, or choose another name");
    }
    int slot = freeSlot();
    if (slot < 0) {
      throw new InvalidRequestException(
          ErrorCode.ADAPTER_LIMIT,
          "The adapter " + Text.quote(name) + " cannot be loaded",
          "must be <= " + taken.length + ": loaded adapters=" + (taken.length + 1),
          "load the model with maxAdapters("
              + (taken.length + 1)
              + ") or more, or unload an adapter that no request uses: loaded are "
              + names());
    }
    if (adapterBytes > maxBytes - bytes) {
      long needed = Math.ceilDiv(bytes + adapterBytes, 1L << 20);
      throw new InvalidRequestException(
          ErrorCode.ADAPTER_LIMIT,
          "The adapter " + Text.quote(name) + " cannot be loaded",
          "must be <= " + maxBytes + ": bytes of adapters=" + (bytes + adapterBytes),
          "load the model with adapterMemory(Bytes.mib(" + needed + ")) or more");
    }
    taken[slot] = true;
    bytes += adapterBytes;
    Entry entry = new Entry(name, slot, ++lastId, adapterBytes);
    byName.put(name, entry);
    return entry;
  }

  private int freeSlot() {
    for (int i = 0; i < taken.length; i++) {
      if (!taken[i]) {
        return i;
      }
    }
    return -1;
  }

  /** Lets requests use an adapter whose slot was set. */
  synchronized void publish(Entry entry) {
    entry.ready = true;
  }

  /** Returns the names of adapters that requests may use, sorted. */
  synchronized List<String> names() {
    List<String> names = new ArrayList<>();
    byName.forEach((name, entry) -> {
      if (entry.ready) {
        names.add(name);
      }
    });
    return names;
  }

  /**
   * Notes a use of an adapter; each needs one {@link #release}.
   *
   * @param name null for none
   * @throws InvalidRequestException if no adapter of this name is loaded
   */
  synchronized @Nullable Entry acquire(@Nullable String name) {
    if (name == null) {
      return null;
    }
    Entry entry = require(name);
    entry.uses++;
    return entry;
  }

  private Entry require(String name) {
    Entry entry = byName.get(name);
    if (entry == null || !entry.ready) {
      List<String> known = names();
      throw new InvalidRequestException(
          ErrorCode.ADAPTER_UNKNOWN,
          "The adapter " + Text.quote(name) + " is not loaded",
          known.isEmpty() ? "no adapter is loaded" : "loaded are " + known,
          "load it with loadAdapter, or name one that is loaded");
    }
    return entry;
  }

  /** Ends a use; returns whether the slot must be cleared now, and then given back. */
  synchronized boolean release(Entry entry) {
    entry.uses--;
    return entry.retired && entry.uses == 0;
  }

  /**
   * Keeps an adapter from new requests; returns it if its slot must be cleared now, or null while
   * requests use it.
   *
   * @throws InvalidRequestException if no adapter of this name is loaded
   */
  synchronized @Nullable Entry retire(String name) {
    Entry entry = require(name);
    byName.remove(name);
    entry.retired = true;
    return entry.uses == 0 ? entry : null;
  }

  /** Frees the slot of an adapter that is being cleared or was never set. */
  synchronized void giveBack(Entry entry) {
    byName.remove(entry.name, entry);
    taken[entry.slot] = false;
    bytes -= entry.bytes;
  }
}
