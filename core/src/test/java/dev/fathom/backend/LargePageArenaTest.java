package dev.fathom.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class LargePageArenaTest {

  private static final long MIB = 1L << 20;

  private static void assumeLargePages() {
    assumeTrue(LargePageArena.hasLargePages(), "this system gives no large pages to those who ask");
  }

  private static boolean isZero(MemorySegment segment) {
    return MemorySegment.ofArray(new byte[(int) segment.byteSize()]).mismatch(segment) < 0;
  }

  @Test
  void memoryIsZeroedAlignedAndItsOwn() {
    Random random = new Random(7);
    try (Arena arena = LargePageArena.open()) {
      List<MemorySegment> segments = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        long size = random.nextInt(4) == 0 ? random.nextInt(5 << 20) : random.nextInt(5000);
        long alignment = 1L << random.nextInt(13);
        MemorySegment segment = arena.allocate(size, alignment);
        assertEquals(size, segment.byteSize());
        assertEquals(0, segment.address() % alignment, "alignment " + alignment);
        assertTrue(isZero(segment));
        segment.fill((byte) (i + 1));
        segments.add(segment);
      }
      for (int i = 0; i < segments.size(); i++) {
        byte[] expected = new byte[(int) segments.get(i).byteSize()];
        MemorySegment.ofArray(expected).fill((byte) (i + 1));
        assertEquals(-1, MemorySegment.ofArray(expected).mismatch(segments.get(i)), "segment " + i);
      }
    }
  }

  @Test
  void largeAllocationsHaveWholePages() {
    assumeLargePages();
    try (Arena arena = LargePageArena.open()) {
      MemorySegment one = arena.allocate(70 * MIB + 5, 64);
      MemorySegment other = arena.allocate(70 * MIB, LargePages.SIZE);
      assertEquals(70 * MIB + 5, one.byteSize());
      assertEquals(0, one.address() % LargePages.SIZE);
      assertEquals(0, other.address() % LargePages.SIZE);
      one.set(ValueLayout.JAVA_BYTE, 70 * MIB + 4, (byte) 1);
      other.fill((byte) 2);
      assertEquals(0, one.get(ValueLayout.JAVA_BYTE, 0));
      assertThrows(
          IndexOutOfBoundsException.class, () -> one.get(ValueLayout.JAVA_BYTE, 70 * MIB + 5));
    }
  }

  @Test
  void thePagesAreLarge() throws IOException {
    assumeLargePages();
    try (Arena arena = LargePageArena.open()) {
      MemorySegment segment = arena.allocate(80 * MIB, 64);
      segment.fill((byte) 1);
      // The system may have none left, but not be asked for none.
      assertTrue(flagsOf(segment.address()).contains(" hg"), "madvise was asked");
    }
  }

  /** Returns the flags of the mapping that holds an address; hg: asked for large pages. */
  private static String flagsOf(long address) throws IOException {
    Pattern range = Pattern.compile("([0-9a-f]+)-([0-9a-f]+) .*");
    boolean isWanted = false;
    for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
      Matcher matcher = range.matcher(line);
      if (matcher.matches()) {
        long from = Long.parseUnsignedLong(matcher.group(1), 16);
        long to = Long.parseUnsignedLong(matcher.group(2), 16);
        isWanted =
            Long.compareUnsigned(from, address) <= 0 && Long.compareUnsigned(address, to) < 0;
      } else if (isWanted && line.startsWith("VmFlags:")) {
        return line;
      }
    }
    return "";
  }

  @Test
  void closingFreesTheMemory() throws IOException {
    assumeLargePages();
    Arena arena = LargePageArena.open();
    MemorySegment small = arena.allocate(100, 8);
    MemorySegment large = arena.allocate(80 * MIB, 64);
    long address = large.address();
    assertFalse(flagsOf(address).isEmpty());
    arena.close();
    assertTrue(flagsOf(address).isEmpty());
    assertFalse(small.scope().isAlive());
    assertThrows(IllegalStateException.class, () -> small.get(ValueLayout.JAVA_BYTE, 0));
    assertThrows(IllegalStateException.class, () -> arena.allocate(100, 8));
    assertThrows(IllegalStateException.class, () -> arena.allocate(80 * MIB, 8));
    assertThrows(IllegalStateException.class, arena::close);
  }

  @Test
  void wrongSizesAreThoseOfTheJdk() {
    try (Arena arena = LargePageArena.open()) {
      assertThrows(IllegalArgumentException.class, () -> arena.allocate(-1, 8));
      assertThrows(IllegalArgumentException.class, () -> arena.allocate(8, 3));
      assertThrows(IllegalArgumentException.class, () -> arena.allocate(8, 0));
      assertEquals(0, arena.allocate(0, 8).byteSize());
      assertEquals(0, arena.allocate(8, 4 * MIB).address() % (4 * MIB));
    }
  }

  @Test
  void moreThanThereIsIsAnOutOfMemoryError() {
    assumeLargePages();
    try (Arena arena = LargePageArena.open()) {
      assertThrows(OutOfMemoryError.class, () -> arena.allocate(1L << 52, 64));
      assertThrows(OutOfMemoryError.class, () -> arena.allocate(Long.MAX_VALUE - 100, 64));
      assertTrue(isZero(arena.allocate(100, 64)), "a failure leaves the arena usable");
    }
  }

  @Test
  void anyThreadMayAllocate() throws Exception {
    try (Arena arena = LargePageArena.open();
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Callable<List<MemorySegment>>> tasks = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int id = t;
        tasks.add(() -> {
          List<MemorySegment> own = new ArrayList<>();
          for (int i = 0; i < 1000; i++) {
            MemorySegment segment = arena.allocate(16 + i, 16);
            segment.fill((byte) (id + 1));
            own.add(segment);
          }
          return own;
        });
      }
      List<Future<List<MemorySegment>>> results = threads.invokeAll(tasks);
      for (int t = 0; t < 4; t++) {
        for (MemorySegment segment : results.get(t).get()) {
          for (long i = 0; i < segment.byteSize(); i++) {
            assertEquals(t + 1, segment.get(ValueLayout.JAVA_BYTE, i));
          }
        }
      }
    }
  }

  @Test
  void itsSegmentsAreThoseOfTheJdk() {
    try (Arena arena = LargePageArena.open();
        Arena jdk = Arena.ofShared()) {
      // Kernels cast to this class once a loop.
      assertSame(jdk.allocate(8).getClass(), arena.allocate(8).getClass());
      assertTrue(arena.allocate(8).isNative());
      if (LargePageArena.hasLargePages()) {
        assertInstanceOf(LargePageArena.class, arena);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "always [madvise] never, 2097152, true",
    "[always] madvise never, 2097152, true",
    "always madvise [never], 2097152, false",
    "always [madvise] never, 536870912, false",
    "'', 2097152, false",
  })
  void theSystemSaysWhetherItGivesThem(
      String enabled, String size, boolean expected, @TempDir Path folder) throws IOException {
    Files.writeString(folder.resolve("enabled"), enabled + "\n");
    Files.writeString(folder.resolve("hpage_pmd_size"), size + "\n");
    assertEquals(expected, LargePageArena.isGiven(folder));
  }

  @Test
  void theLogSaysWhichPages() {
    // The tests run with native access.
    assertEquals(
        LargePageArena.hasLargePages() ? "2 MB" : "small (the system gives no others)",
        LargePageArena.description());
  }

  @Test
  void aSystemWithoutSettingsGivesNone(@TempDir Path folder) {
    assertFalse(LargePageArena.isGiven(folder));
    assertFalse(LargePageArena.isGiven(folder.resolve("missing")));
  }
}
