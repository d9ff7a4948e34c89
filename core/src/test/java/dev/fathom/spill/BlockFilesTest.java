package dev.fathom.spill;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.error.InvalidRequestException;
import dev.fathom.kvcache.BlockKey;
import dev.fathom.kvcache.PrefixScope;
import dev.fathom.kvcache.UnitKey;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BlockFilesTest {

  private static final String PRINT = "0123456789abcdef";
  private static final long[] BLOCKS = {40, 24};
  private static final PrefixScope TENANT = new PrefixScope(7, -8, 0);

  @TempDir Path folder;

  private static BlockKey key(long id, PrefixScope scope, int group) {
    return new BlockKey(new UnitKey(id, -id, 3, Long.MIN_VALUE), scope, group, 1);
  }

  private static MemorySegment bytes(long seed, int group) {
    byte[] bytes = new byte[(int) BLOCKS[group]];
    new SplittableRandom(seed).nextBytes(bytes);
    return MemorySegment.ofArray(bytes);
  }

  private BlockFiles open(long maxBytes) {
    return new BlockFiles(folder, PRINT, maxBytes, BLOCKS);
  }

  private static void write(BlockFiles files, BlockKey key, long seed) {
    boolean[] done = new boolean[1];
    assertThat(files.write(key, bytes(seed, key.group()), () -> done[0] = true)).isTrue();
    long deadline = System.nanoTime() + 20_000_000_000L;
    while (!done[0] && System.nanoTime() < deadline) {
      files.collect();
      Thread.onSpinWait();
    }
    assertThat(done[0]).as("the write ends").isTrue();
  }

  private static byte[] read(BlockFiles files, BlockKey key) {
    MemorySegment target = MemorySegment.ofArray(new byte[(int) BLOCKS[key.group()]]);
    return files.read(key, target) ? target.toArray(ValueLayout.JAVA_BYTE) : new byte[0];
  }

  private static byte[] expected(long seed, int group) {
    return bytes(seed, group).toArray(ValueLayout.JAVA_BYTE);
  }

  @Test
  void whatWasWrittenIsReadAgainByTheNextProcessAndByNobodyElse() {
    BlockKey key = key(5, TENANT, 1);
    try (BlockFiles files = open(1 << 20)) {
      assertThat(files.has(key)).isFalse();
      write(files, key, 1);
      assertThat(read(files, key)).isEqualTo(expected(1, 1));
    }
    try (BlockFiles files = open(1 << 20)) {
      assertThat(files.bytes()).isEqualTo(24 + 64);
      assertThat(read(files, key)).isEqualTo(expected(1, 1));
      assertThat(files.has(key(5, PrefixScope.SHARED, 1))).isFalse();
      assertThat(files.has(key(6, TENANT, 1))).isFalse();
      assertThat(files.has(key(5, TENANT, 0))).isFalse();
    }
    try (BlockFiles files = new BlockFiles(folder, "fedcba9876543210", 1 << 20, BLOCKS)) {
      assertThat(files.has(key)).isFalse();
    }
  }

  @Test
  void aFileThatDiffersInAnyByteOrLengthIsAMissAndIsDeleted() throws IOException {
    BlockKey key = key(5, TENANT, 1);
    Path file;
    try (BlockFiles files = open(1 << 20)) {
      write(files, key, 1);
      file = files.path(key);
    }
    byte[] good = Files.readAllBytes(file);
    for (int i = 0; i < good.length; i++) {
      byte[] bad = good.clone();
      bad[i] ^= (byte) (1 << i % 8);
      assertMiss(key, file, bad);
      assertMiss(key, file, Arrays.copyOf(good, i));
    }
    assertMiss(key, file, Arrays.copyOf(good, good.length + 1));
    Files.write(file, good);
    try (BlockFiles files = open(1 << 20)) {
      assertThat(read(files, key)).isEqualTo(expected(1, 1));
      Files.write(file, Arrays.copyOf(good, good.length - 1));
      assertThat(read(files, key)).as("cut off while open").isEmpty();
      assertThat(files.has(key)).isFalse();
      assertThat(files.bytes()).isZero();
    }
  }

  private void assertMiss(BlockKey key, Path file, byte[] content) throws IOException {
    Files.write(file, content);
    try (BlockFiles files = open(1 << 20)) {
      assertThat(read(files, key)).isEmpty();
    }
    assertThat(file).doesNotExist();
  }

  @Test
  void aFileUnderAnothersNameIsAMiss() throws IOException {
    BlockKey mine = key(5, TENANT, 1);
    BlockKey theirs = key(5, new PrefixScope(7, -9, 0), 1);
    try (BlockFiles files = open(1 << 20)) {
      write(files, mine, 1);
      write(files, theirs, 2);
      Files.copy(files.path(mine), files.path(theirs), StandardCopyOption.REPLACE_EXISTING);
      assertThat(read(files, theirs)).isEmpty();
      assertThat(read(files, mine)).isEqualTo(expected(1, 1));
    }
  }

  @Test
  void whoHasMostGivesItsOldestFirst() {
    BlockKey small = key(1, PrefixScope.SHARED, 1);
    try (BlockFiles files = open(4 * (24 + 64))) {
      write(files, small, 1);
      for (int i = 10; i < 20; i++) {
        write(files, key(i, TENANT, 1), i);
        assertThat(files.bytes()).isLessThanOrEqualTo(4 * (24 + 64));
      }
      assertThat(read(files, small)).isEqualTo(expected(1, 1));
      assertThat(files.has(key(16, TENANT, 1))).isFalse();
      assertThat(read(files, key(17, TENANT, 1))).isEqualTo(expected(17, 1));
      write(files, key(20, TENANT, 1), 20);
      assertThat(files.has(key(17, TENANT, 1))).as("was read lately").isTrue();
      assertThat(files.has(key(18, TENANT, 1))).isFalse();
      assertThat(files.write(key(1, TENANT, 0), bytes(1, 0), () -> {})).isTrue();
    }
    try (BlockFiles files = open(2 * (24 + 64))) {
      assertThat(files.bytes()).as("after the limit fell").isLessThanOrEqualTo(2 * (24 + 64));
    }
    try (BlockFiles files = open(10)) {
      assertThat(files.bytes()).isZero();
      assertThat(files.write(small, bytes(1, 1), () -> {})).isFalse();
    }
  }

  @Test
  void whatACrashLeftIsDeletedAndWhatIsNotOursStays() throws IOException {
    BlockKey key = key(5, TENANT, 1);
    Path file;
    try (BlockFiles files = open(1 << 20)) {
      write(files, key, 1);
      file = files.path(key);
    }
    Path unfinished = file.resolveSibling(file.getFileName() + ".part");
    Files.write(unfinished, new byte[10]);
    Path other = Files.writeString(file.resolveSibling("notes.txt"), "mine");
    Files.createDirectories(folder.resolve(PRINT).resolve("not-a-tenant"));
    try (BlockFiles files = open(1 << 20)) {
      assertThat(unfinished).doesNotExist();
      assertThat(other).exists();
      assertThat(read(files, key)).isEqualTo(expected(1, 1));
    }
  }

  @Test
  void aFolderIsUsedByOneAndMustBeAFolder() throws IOException {
    try (BlockFiles files = open(1 << 20)) {
      assertThat(files.bytes()).isZero();
      assertThatThrownBy(() -> open(1 << 20))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessageContaining("uses it");
    }
    open(1 << 20).close();
    Path file = Files.writeString(folder.resolve("file"), "x");
    assertThatThrownBy(() -> new BlockFiles(file, PRINT, 100, BLOCKS))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("cannot be used");
  }

  @Test
  void aFolderThatVanishesLosesBlocksAndNothingElse() throws IOException {
    try (BlockFiles files = open(1 << 20)) {
      BlockKey key = key(5, TENANT, 1);
      write(files, key, 1);
      Files.delete(files.path(key));
      assertThat(read(files, key)).isEmpty();
      Path tenant = files.path(key).getParent();
      Files.delete(tenant);
      Files.writeString(tenant, "a file where a folder should be");
      write(files, key, 2);
      assertThat(files.has(key)).isFalse();
      assertThat(files.bytes()).isZero();
    }
  }

  @Test
  void onlyTheOwnerMayReadWhatFollowsFromPrompts() throws IOException {
    assumeTrue(
        folder.getFileSystem().supportedFileAttributeViews().contains("posix"),
        "skipped: no POSIX permissions");
    try (BlockFiles files = open(1 << 20)) {
      write(files, key(5, TENANT, 1), 1);
      Path tenant = files.path(key(5, TENANT, 1)).getParent();
      for (Path path : new Path[] {tenant, tenant.getParent()}) {
        assertThat(Files.getPosixFilePermissions(path))
            .containsExactlyInAnyOrder(
                PosixFilePermission.OWNER_READ,
                PosixFilePermission.OWNER_WRITE,
                PosixFilePermission.OWNER_EXECUTE);
      }
    }
  }
}
