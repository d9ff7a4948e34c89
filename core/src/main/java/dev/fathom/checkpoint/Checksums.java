package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The optional {@code checksums.sha256} of a checkpoint, in the format of sha256sum: 64 hexadecimal
 * digits, two spaces (or space and star), the file's name.
 *
 * @param byName lower-case digits by file name; empty if there is no such file
 */
record Checksums(Map<String, String> byName) {
  static final String FILE = "checksums.sha256";
  static final Checksums NONE = new Checksums(Map.of());

  private static final int HEX_LEN = 64;

  /**
   * Parses the file. Empty lines are skipped, and so are names in other folders.
   *
   * @throws CheckpointException if a line has another form or a file is listed twice
   */
  static Checksums parse(Path file, byte[] utf8) {
    Map<String, String> byName = new HashMap<>();
    int number = 0;
    for (String line : new String(utf8, StandardCharsets.UTF_8).lines().toList()) {
      number++;
      if (line.isBlank()) {
        continue;
      }
      if (!isWellFormed(line)) {
        throw invalid(
            file, "a line must be 64 hexadecimal digits, two spaces and a name: line=" + number);
      }
      String name = line.substring(HEX_LEN + 2);
      name = name.startsWith("./") ? name.substring(2) : name;
      if (byName.put(name, line.substring(0, HEX_LEN).toLowerCase(Locale.ROOT)) != null) {
        throw invalid(file, "a file must be listed once: line=" + number);
      }
    }
    return new Checksums(Map.copyOf(byName));
  }

  private static boolean isWellFormed(String line) {
    return line.length() > HEX_LEN + 2
        && line.chars().limit(HEX_LEN).allMatch(HexFormat::isHexDigit)
        && line.charAt(HEX_LEN) == ' '
        && (line.charAt(HEX_LEN + 1) == ' ' || line.charAt(HEX_LEN + 1) == '*');
  }

  private static CheckpointException invalid(Path file, String why) {
    return new CheckpointException(
        ErrorCode.CHECKSUMS_INVALID,
        "The file " + Text.quote(file.toString()) + " is not usable",
        why,
        "write it again with \"sha256sum *.safetensors *.json > checksums.sha256\", or delete it");
  }

  /** The digits that the file must have, or null if it is not listed. */
  @Nullable String expected(Path file) {
    return byName.get(String.valueOf(file.getFileName()));
  }

  /**
   * Checks bytes that were read as a whole.
   *
   * @throws CheckpointException if the file is listed with another hash
   */
  void check(Path file, byte[] bytes) {
    String expected = expected(file);
    if (expected != null) {
      compare(file, expected, sha256().digest(bytes));
    }
  }

  /** Compares a finished hash. */
  static void compare(Path file, String expected, byte[] hash) {
    String actual = HexFormat.of().formatHex(hash);
    if (!actual.equals(expected)) {
      throw new CheckpointException(
          ErrorCode.CHECKSUM_MISMATCH,
          "The file " + Text.quote(file.toString()) + " is damaged",
          "its SHA-256 must be the one in checksums.sha256: expected="
              + expected
              + " actual="
              + actual,
          "download the file again; if it was changed on purpose, write checksums.sha256 again");
    }
  }

  /** A new SHA-256, which every Java platform has. */
  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
