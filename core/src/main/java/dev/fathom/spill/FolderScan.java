package dev.fathom.spill;

import dev.fathom.kvcache.BlockKey;
import dev.fathom.kvcache.PrefixScope;
import dev.fathom.kvcache.UnitKey;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Names of the files of {@link BlockFiles}, and what a former process left of them. */
final class FolderScan {

  static final String UNFINISHED = ".part";
  private static final String ENDING = ".kv";
  private static final int HEX_LONG = 16;
  private static final int HEX_KEY = 64;

  private final Path folder;
  private final long[] blockBytes;
  private final List<Found> found = new ArrayList<>();

  private record Found(BlockKey key, long bytes, long modified) {}

  FolderScan(Path folder, long[] blockBytes) {
    this.folder = folder;
    this.blockBytes = blockBytes;
  }

  static String tenantName(PrefixScope scope) {
    HexFormat hex = HexFormat.of();
    return hex.toHexDigits(scope.saltHigh()) + hex.toHexDigits(scope.saltLow());
  }

  static String fileName(BlockKey key) {
    return key.unit().toHex() + "-" + key.group() + "-" + key.index() + ENDING;
  }

  /** Adds what is there, oldest first; deletes what was not finished or has another size. */
  void run(FairShares<Long> files) throws IOException {
    try (DirectoryStream<Path> tenants = Files.newDirectoryStream(folder)) {
      for (Path tenant : tenants) {
        PrefixScope scope = scopeOf(tenant.getFileName().toString());
        if (scope != null && Files.isDirectory(tenant, LinkOption.NOFOLLOW_LINKS)) {
          scan(tenant, scope);
        }
      }
    }
    found.sort(Comparator.comparingLong(Found::modified));
    for (Found file : found) {
      files.put(file.key(), file.bytes(), file.bytes());
    }
  }

  private void scan(Path tenant, PrefixScope scope) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(tenant)) {
      for (Path file : files) {
        String name = file.getFileName().toString();
        BlockKey key = keyOf(name, scope);
        BasicFileAttributes attributes =
            Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        boolean fits =
            key != null
                && attributes.isRegularFile()
                && attributes.size() == BlockRecord.fileBytes(blockBytes[key.group()]);
        if (key != null && fits) {
          found.add(new Found(key, attributes.size(), attributes.lastModifiedTime().toMillis()));
        } else if (key != null || name.endsWith(ENDING + UNFINISHED)) {
          Files.deleteIfExists(file);
        }
      }
    }
  }

  private static @Nullable PrefixScope scopeOf(String name) {
    try {
      return name.length() == 2 * HEX_LONG
          ? new PrefixScope(
              HexFormat.fromHexDigitsToLong(name, 0, HEX_LONG),
              HexFormat.fromHexDigitsToLong(name, HEX_LONG, 2 * HEX_LONG),
              0)
          : null;
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  /** Returns the key of a file, null where its name is none that {@link #fileName} gives. */
  private @Nullable BlockKey keyOf(String name, PrefixScope scope) {
    int dash = name.indexOf('-', HEX_KEY + 1);
    if (dash < 0 || !name.endsWith(ENDING)) {
      return null;
    }
    try {
      UnitKey unit = UnitKey.parse(name.substring(0, HEX_KEY));
      int group = Integer.parseInt(name, HEX_KEY + 1, dash, 10);
      int index = Integer.parseInt(name, dash + 1, name.length() - ENDING.length(), 10);
      BlockKey key = new BlockKey(unit, scope, group, index);
      return group < blockBytes.length && fileName(key).equals(name) ? key : null;
    } catch (IllegalArgumentException e) {
      return null;
    }
  }
}
