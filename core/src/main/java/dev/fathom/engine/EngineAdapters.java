package dev.fathom.engine;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.Executable;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The adapters of an engine: any thread loads and unloads them; the engine's thread sets the slots
 * of the executable, between steps.
 */
public final class EngineAdapters {

  private static final Logger log = LoggerFactory.getLogger(EngineAdapters.class);

  private final AdapterTable table;
  private final Executable executable;
  private final Consumer<Runnable> post;
  private final Consumer<Runnable> postAnyway;

  /**
   * Creates an empty set.
   *
   * @param post hands a command to the engine's thread, or throws where it has stopped
   * @param postAnyway hands a command to the engine's thread, which drops it where it has stopped
   */
  EngineAdapters(
      AdapterLimits limits,
      Executable executable,
      Consumer<Runnable> post,
      Consumer<Runnable> postAnyway) {
    this.table = new AdapterTable(limits.slots(), limits.bytes());
    this.executable = executable;
    this.post = post;
    this.postAnyway = postAnyway;
  }

  /**
   * Reads an adapter, sets it between two steps and waits for that.
   *
   * @param name in requests
   * @param bytes of the adapter in memory; room is taken before it is read
   * @param reading reads it, on this thread
   * @throws dev.fathom.error.InvalidRequestException if the name is in use or a limit is reached
   * @throws GenerationException if the engine was closed or this thread interrupted
   * @throws IllegalArgumentException if a delta belongs to no linear of the program
   */
  public void load(String name, long bytes, Supplier<Adapter> reading) {
    AdapterTable.Entry entry = table.reserve(name, bytes);
    CompletableFuture<Void> done = new CompletableFuture<>();
    try {
      Adapter adapter = reading.get();
      post.accept(() -> set(entry, adapter, done));
    } catch (RuntimeException | Error e) {
      table.giveBack(entry);
      throw e;
    }
    await(done);
    log.info("adapter loaded: name={} slot={} bytes={}", name, entry.slot, bytes);
  }

  private void set(AdapterTable.Entry entry, Adapter adapter, CompletableFuture<Void> done) {
    try {
      executable.setAdapter(entry.slot, adapter);
      table.publish(entry);
      done.complete(null);
    } catch (RuntimeException | Error e) {
      table.giveBack(entry);
      done.completeExceptionally(e);
    }
  }

  private static void await(CompletableFuture<Void> done) {
    try {
      done.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException("setting an adapter failed", e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new GenerationException(
          ErrorCode.GENERATION_CANCELLED,
          "Waiting for the adapter was given up",
          "the waiting thread was interrupted; the adapter is loaded all the same",
          "unload it if it is not wanted",
          e);
    }
  }

  /**
   * Keeps an adapter from new requests; those that use it go on, and its memory is free after the
   * last of them.
   *
   * @throws dev.fathom.error.InvalidRequestException if it is not loaded
   */
  public void unload(String name) {
    AdapterTable.Entry unused = table.retire(name);
    if (unused != null) {
      clear(unused);
    }
    log.info("adapter unloaded: name={} inUse={}", name, unused == null);
  }

  /** Returns the names of the loaded adapters, sorted. */
  public List<String> names() {
    return table.names();
  }

  /** Notes a use; each needs one {@link #release}. */
  AdapterTable.@Nullable Entry acquire(@Nullable String name) {
    return table.acquire(name);
  }

  /** Ends a use. */
  void release(AdapterTable.@Nullable Entry entry) {
    if (entry != null && table.release(entry)) {
      clear(entry);
    }
  }

  /** Whoever takes the slot next sets it by a command that comes after this one. */
  private void clear(AdapterTable.Entry entry) {
    postAnyway.accept(() -> executable.setAdapter(entry.slot, null));
    table.giveBack(entry);
  }
}
