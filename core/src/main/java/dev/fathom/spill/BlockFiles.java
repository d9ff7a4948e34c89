package dev.fathom.spill;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.error.Text;
import dev.fathom.kvcache.BlockKey;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Blocks in a folder, one file each, a subfolder for each tenant:
 *
 * <pre>
 *   folder / fingerprint / lock
 *                        / tenant / unit-group-index.kv
 * </pre>
 *
 * <p>A file is written under another name and renamed when it is whole; a crash leaves at most a
 * file without its end, and one that lost parts by a power failure has a wrong digest. What is not
 * just as it was written ({@link BlockRecord}) is a miss and is deleted. Files of a former process
 * are found again; two processes cannot use a folder at once.
 *
 * <p>One thread calls; writing and deleting is done by a thread of its own, {@code
 * fathom-kv-files}, in their order. Reading is done at once.
 */
final class BlockFiles implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(BlockFiles.class);
  private static final long CLOSE_MILLIS = 2_000;

  private final Path folder;
  private final String fingerprint;
  private final long maxBytes;
  private final FairShares<Long> files = new FairShares<>();
  private final LinkedBlockingQueue<Runnable> work = new LinkedBlockingQueue<>();
  private final ConcurrentLinkedQueue<Done> done = new ConcurrentLinkedQueue<>();
  private final FileChannel lock;
  private final Thread writer;
  private long writingBytes;

  /** The writer's own: whether it has nothing to do any more, and whether it has warned. */
  private boolean ended;

  private boolean warned;

  /** A write that ended. */
  private record Done(BlockKey key, long bytes, boolean succeeded, Runnable after) {}

  /**
   * Opens a folder and finds what is there.
   *
   * @param blockBytes bytes of a block of each group
   * @throws InvalidRequestException if the folder cannot be used, or another process uses it
   */
  BlockFiles(Path parent, String fingerprint, long maxBytes, long[] blockBytes) {
    this.folder = parent.resolve(fingerprint);
    this.fingerprint = fingerprint;
    this.maxBytes = maxBytes;
    FileChannel opened = null;
    try {
      createFolder(folder);
      opened = lock(folder);
      new FolderScan(folder, blockBytes).run(files);
      this.lock = opened;
    } catch (IOException e) {
      closeQuietly(opened);
      throw unusable(parent, e.toString(), e);
    }
    makeRoom(0);
    this.writer = new Thread(this::runWork, "fathom-kv-files");
    writer.setDaemon(true);
    writer.start();
  }

  private static void createFolder(Path path) throws IOException {
    boolean posix = FileSystems.getDefault().supportedFileAttributeViews().contains("posix");
    if (posix) {
      // What the files hold follows from prompts: nobody else may read it.
      Files.createDirectories(
          path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    } else {
      Files.createDirectories(path);
    }
  }

  private static FileChannel lock(Path path) throws IOException {
    FileChannel channel =
        FileChannel.open(path.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      if (channel.tryLock() == null) {
        throw new IOException("another process uses it");
      }
      return channel;
    } catch (OverlappingFileLockException e) {
      channel.close();
      throw new IOException("another model of this process uses it", e);
    } catch (IOException e) {
      channel.close();
      throw e;
    }
  }

  private static InvalidRequestException unusable(Path path, String why, Throwable cause) {
    return new InvalidRequestException(
        ErrorCode.REQUEST_INVALID,
        "The folder for KV blocks " + Text.quote(path.toString()) + " cannot be used",
        why,
        "give a folder that this process may write and no other uses",
        cause);
  }

  /** Returns whether a block is there, as far as is known. */
  boolean has(BlockKey key) {
    collect();
    return files.contains(key);
  }

  /** Bytes of the files, those that are being written included. */
  long bytes() {
    collect();
    return files.bytes() + writingBytes;
  }

  /**
   * Writes a block later.
   *
   * @param bytes must not change until {@code after} was called
   * @param after called by a later call of this class, on the caller's thread
   * @return false if it is larger than what the folder may hold; {@code after} is not called then
   */
  boolean write(BlockKey key, MemorySegment bytes, Runnable after) {
    collect();
    long size = BlockRecord.fileBytes(bytes.byteSize());
    if (size > maxBytes) {
      return false;
    }
    makeRoom(size);
    writingBytes += size;
    work.add(() -> done.add(new Done(key, size, tryWrite(key, bytes), after)));
    return true;
  }

  private void makeRoom(long wanted) {
    while (files.bytes() + writingBytes + wanted > maxBytes) {
      BlockKey key = files.next();
      if (key == null) {
        return;
      }
      forget(key);
    }
  }

  private void forget(BlockKey key) {
    files.remove(key);
    Path file = path(key);
    work.add(() -> {
      try {
        Files.deleteIfExists(file);
      } catch (IOException e) {
        log.warn("cannot delete a file of KV blocks: reason={}", e.toString());
      }
    });
  }

  /** Takes notice of writes that ended. */
  void collect() {
    for (Done ended = done.poll(); ended != null; ended = done.poll()) {
      writingBytes -= ended.bytes();
      if (ended.succeeded()) {
        files.put(ended.key(), ended.bytes(), ended.bytes());
      }
      ended.after().run();
    }
  }

  private boolean tryWrite(BlockKey key, MemorySegment bytes) {
    Path tenant = tenantFolder(key);
    Path file = path(key);
    Path unfinished = tenant.resolve(FolderScan.fileName(key) + FolderScan.UNFINISHED);
    try {
      createFolder(tenant);
      BlockRecord.write(unfinished, fingerprint, key, bytes);
      Files.move(
          unfinished, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      return true;
    } catch (IOException | RuntimeException e) {
      if (!warned) {
        warned = true;
        log.warn("KV blocks cannot be written: folder={} reason={}", folder, e.toString());
      }
      deleteQuietly(unfinished);
      return false;
    }
  }

  /**
   * Reads a block.
   *
   * @return false if it is not there or not as it was written; it is forgotten then
   */
  boolean read(BlockKey key, MemorySegment target) {
    if (files.get(key) == null) {
      return false;
    }
    try {
      if (BlockRecord.read(path(key), fingerprint, key, target)) {
        return true;
      }
      log.warn("a file of KV blocks is damaged and will be deleted: file={}", path(key));
    } catch (IOException e) {
      log.warn("a file of KV blocks cannot be read: reason={}", e.toString());
    }
    forget(key);
    return false;
  }

  Path path(BlockKey key) {
    return tenantFolder(key).resolve(FolderScan.fileName(key));
  }

  private Path tenantFolder(BlockKey key) {
    return folder.resolve(FolderScan.tenantName(key.scope()));
  }

  private void runWork() {
    try {
      while (!ended) {
        work.take().run();
      }
    } catch (InterruptedException e) {
      // close() has waited long enough.
    }
  }

  /**
   * Ends what is being written, waits for that at most two seconds, and frees the folder.
   *
   * @return whether the thread has ended, so that nobody reads the blocks to be written any more
   */
  boolean end() {
    work.add(() -> ended = true);
    boolean interrupted = false;
    try {
      writer.join(CLOSE_MILLIS);
      if (writer.isAlive()) {
        writer.interrupt();
        writer.join(CLOSE_MILLIS / 2);
      }
    } catch (InterruptedException e) {
      interrupted = true;
    }
    closeQuietly(lock);
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return !writer.isAlive();
  }

  @Override
  public void close() {
    end();
  }

  private static void deleteQuietly(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      log.debug("left behind: file={} reason={}", path, e.toString());
    }
  }

  private static void closeQuietly(@Nullable FileChannel channel) {
    try {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException e) {
      log.debug("lock left: reason={}", e.toString());
    }
  }
}
