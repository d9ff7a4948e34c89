package dev.fathom;

import dev.fathom.backend.Backend;
import dev.fathom.checkpoint.SafetensorsFile;
import dev.fathom.program.Program;
import dev.fathom.spill.SpillOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.CodeSource;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * Tells apart what must not share files of KV blocks: a digest of the weight files (names, sizes,
 * times of change, and the bytes at both ends), of the programs, and of every option and property
 * of the backend that a value in the cache can depend on.
 */
final class KvFingerprint {

  private static final int END_BYTES = 1 << 16;
  private static final int DIGITS = 32;

  private KvFingerprint() {}

  /** Returns the second tier that the options ask for. */
  static SpillOptions spill(OpenedModel model, LoadOptions options, Backend backend) {
    boolean files = options.kvFolder() != null;
    if ((files || options.kvHostMemory().count() > 0) && !options.prefixCache()) {
      throw Checks.invalid(
          "The options kvHostMemory and kvFolder have nothing to keep",
          "must go with prefixCache(true): prefixCache=false",
          "leave prefixCache on, or leave kvHostMemory and kvFolder out");
    }
    return new SpillOptions(
        options.kvHostMemory().count(),
        options.kvFolder(),
        options.kvFolderLimit().count(),
        files ? of(model, options, backend) : "");
  }

  private static String of(OpenedModel model, LoadOptions options, Backend backend) {
    try {
      MessageDigest sha = MessageDigest.getInstance("SHA-256");
      addLibrary(sha, KvFingerprint.class);
      addLibrary(sha, backend.getClass());
      for (SafetensorsFile file : model.checkpoint().files()) {
        addFile(sha, file.path());
      }
      for (Program program : model.programs().programs()) {
        add(sha, program.toString());
      }
      add(sha, backend.name() + " " + backend.description());
      add(sha, options.weights() + " " + options.kvCache() + " " + options.activations());
      add(sha, options.compatibility() + " " + options.vectorBits() + " " + options.prefill());
      add(sha, Integer.toString(OpenedModel.blockTokens(options, backend)));
      return HexFormat.of().formatHex(sha.digest()).substring(0, DIGITS);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Another build of the library may round otherwise: its jar has another size or time. */
  private static void addLibrary(MessageDigest sha, Class<?> type) throws IOException {
    CodeSource source = type.getProtectionDomain().getCodeSource();
    URL location = source == null ? null : source.getLocation();
    if (location == null || !location.getProtocol().equals("file")) {
      return;
    }
    try {
      Path jar = Path.of(location.toURI());
      add(sha, Files.size(jar) + " " + Files.getLastModifiedTime(jar).toMillis());
    } catch (URISyntaxException e) {
      add(sha, location.toString());
    }
  }

  private static void add(MessageDigest sha, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    sha.update(ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).flip());
    sha.update(bytes);
  }

  private static void addFile(MessageDigest sha, Path file) throws IOException {
    long size = Files.size(file);
    add(sha, file.getFileName() + " " + size + " " + Files.getLastModifiedTime(file).toMillis());
    try (FileChannel in = FileChannel.open(file, StandardOpenOption.READ)) {
      ByteBuffer end = ByteBuffer.allocate((int) Math.min(size, END_BYTES));
      in.read(end, 0);
      sha.update(end.flip());
      end.clear();
      in.read(end, size - end.capacity());
      sha.update(end.flip());
    }
  }
}
