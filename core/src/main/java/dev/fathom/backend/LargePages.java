package dev.fathom.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/**
 * Calls of the C library that give memory in pages of 2 MB. Memory of one page size or the other
 * holds the same bytes; large pages need fewer entries of page tables, which weights that are read
 * once in many steps find outside the caches.
 */
@SuppressWarnings("restricted") // the caller asked whether native access is enabled
final class LargePages {

  /** Bytes of a large page. */
  static final long SIZE = 2L << 20;

  private static final int READ_AND_WRITE = 3;
  private static final int PRIVATE_ANONYMOUS = 0x22;
  private static final int HUGEPAGE = 14;
  private static final long FAILED = -1;

  private final MethodHandle mmap;
  private final MethodHandle madvise;
  private final MethodHandle munmap;

  private LargePages(MethodHandle mmap, MethodHandle madvise, MethodHandle munmap) {
    this.mmap = mmap;
    this.madvise = madvise;
    this.munmap = munmap;
  }

  /** Returns the calls, or null where the C library lacks one. */
  static @Nullable LargePages link() {
    MethodHandle mmap =
        find(
            "mmap",
            FunctionDescriptor.of(
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG));
    MethodHandle madvise =
        find(
            "madvise",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT));
    MethodHandle munmap =
        find(
            "munmap",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
    return mmap == null || madvise == null || munmap == null
        ? null
        : new LargePages(mmap, madvise, munmap);
  }

  private static @Nullable MethodHandle find(String name, FunctionDescriptor signature) {
    Linker linker = Linker.nativeLinker();
    return linker
        .defaultLookup()
        .find(name)
        .map(address -> linker.downcallHandle(address, signature))
        .orElse(null);
  }

  /**
   * Maps zeroed memory that begins with a large page. A page takes memory once it is touched; where
   * the system has no large one left, it gives small ones.
   *
   * @param owner unmaps the memory when it closes
   * @throws OutOfMemoryError if the system has no address space or memory for it
   */
  MemorySegment map(long bytes, Arena owner) {
    long mapped = (bytes + 2 * SIZE - 1) & -SIZE;
    long address = mapped < 0 ? FAILED : mmap(mapped);
    if (address == FAILED) {
      throw new OutOfMemoryError("Cannot map " + bytes + " bytes of native memory");
    }
    // What lies before the first large page is never touched, and so takes no memory.
    long first = (address + SIZE - 1) & -SIZE;
    MemorySegment segment;
    try {
      segment =
          MemorySegment.ofAddress(first).reinterpret(bytes, owner, _ -> munmap(address, mapped));
    } catch (RuntimeException | Error e) {
      munmap(address, mapped);
      throw e;
    }
    advise(first, (bytes + SIZE - 1) & -SIZE);
    return segment;
  }

  private long mmap(long bytes) {
    try {
      return (long) mmap.invokeExact(0L, bytes, READ_AND_WRITE, PRIVATE_ANONYMOUS, -1, 0L);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Asks; a refusal leaves small pages. */
  private void advise(long address, long bytes) {
    try {
      int _ = (int) madvise.invokeExact(address, bytes, HUGEPAGE);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private void munmap(long address, long bytes) {
    try {
      int _ = (int) munmap.invokeExact(address, bytes);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }
}
