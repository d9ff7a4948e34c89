package dev.fathom.backend;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Native memory for weights and caches: an {@link Arena} of any thread whose memory lies in pages
 * of 2 MB where the system gives them, and else one of the JDK.
 *
 * <p>Linux gives such pages if {@code /sys/kernel/mm/transparent_hugepage/enabled} is {@code
 * madvise} or {@code always}, and asking needs native access: {@code
 * --enable-native-access=ALL-UNNAMED} on the class path, {@code
 * --enable-native-access=dev.fathom.core} on the module path. Without either nothing is asked for
 * and nothing is logged as a warning.
 *
 * <p>Memory is zeroed; in large pages it is taken from the system when it is first touched, and
 * freed when the arena closes. Any thread may allocate and close.
 */
public final class LargePageArena implements Arena {

  /** What is mapped at once, for many small allocations. */
  private static final long SLAB = 128 * LargePages.SIZE;

  /** Larger allocations than this have a mapping of their own. */
  private static final long LARGE = SLAB / 4;

  private static final Path SETTINGS = Path.of("/sys/kernel/mm/transparent_hugepage");

  private final Arena owner = Arena.ofShared();
  private final LargePages pages;
  private MemorySegment slab = MemorySegment.NULL;
  private long used;

  LargePageArena(LargePages pages) {
    this.pages = pages;
  }

  /** Opens an arena; its memory is in large pages if {@link #hasLargePages}. */
  public static Arena open() {
    LargePages pages = Holder.PAGES;
    return pages == null ? Arena.ofShared() : new LargePageArena(pages);
  }

  /** Returns whether this process asks for large pages. */
  public static boolean hasLargePages() {
    return Holder.PAGES != null;
  }

  /** Returns which pages this process asks for, and why no large ones; for a log. */
  public static String description() {
    if (hasLargePages()) {
      return "2 MB";
    }
    return isAllowed()
        ? "small (the system gives no others)"
        : "small (native access is not enabled)";
  }

  private static final class Holder {
    static final @Nullable LargePages PAGES =
        isAllowed() && isLinux() && isGiven(SETTINGS) ? LargePages.link() : null;
  }

  private static boolean isAllowed() {
    return LargePageArena.class.getModule().isNativeAccessEnabled();
  }

  private static boolean isLinux() {
    return System.getProperty("os.name", "").equals("Linux");
  }

  /** Returns whether the system's settings in a folder give pages of 2 MB to those who ask. */
  static boolean isGiven(Path settings) {
    try {
      String enabled = Files.readString(settings.resolve("enabled"));
      String size = Files.readString(settings.resolve("hpage_pmd_size")).strip();
      return (enabled.contains("[madvise]") || enabled.contains("[always]"))
          && size.equals(String.valueOf(LargePages.SIZE));
    } catch (IOException _) {
      return false;
    }
  }

  @Override
  public MemorySegment allocate(long byteSize, long byteAlignment) {
    boolean isPlain =
        byteSize > 0
            && Long.bitCount(byteAlignment) == 1
            && byteAlignment > 0
            && byteAlignment <= LargePages.SIZE
            && owner.scope().isAlive();
    if (!isPlain) {
      return owner.allocate(byteSize, byteAlignment);
    }
    if (byteSize > LARGE) {
      return pages.map(byteSize, owner);
    }
    return carve(byteSize, byteAlignment);
  }

  private synchronized MemorySegment carve(long byteSize, long byteAlignment) {
    long begin = (used + byteAlignment - 1) & -byteAlignment;
    if (begin + byteSize > slab.byteSize()) {
      slab = pages.map(SLAB, owner);
      begin = 0;
    }
    used = begin + byteSize;
    return slab.asSlice(begin, byteSize);
  }

  @Override
  public MemorySegment.Scope scope() {
    return owner.scope();
  }

  @Override
  public void close() {
    owner.close();
  }
}
