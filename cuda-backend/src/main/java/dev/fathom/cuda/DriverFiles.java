package dev.fathom.cuda;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Looks for the NVIDIA driver's library where the dynamic linker would: in its cache, in {@code
 * LD_LIBRARY_PATH} and in the usual folders. Reads file names only, so that a process without a
 * driver never loads native code.
 *
 * @param linkerCache the linker's cache, {@code /etc/ld.so.cache}
 * @param folders folders that are searched
 */
record DriverFiles(Path linkerCache, List<Path> folders) {

  private static final String LIBRARY = "libcuda.so.1";
  private static final List<String> USUAL_FOLDERS =
      List.of(
          "/usr/lib/x86_64-linux-gnu",
          "/lib/x86_64-linux-gnu",
          "/usr/lib64",
          "/lib64",
          "/usr/lib",
          "/lib",
          "/usr/lib/wsl/lib",
          "/usr/local/nvidia/lib64",
          "/run/opengl-driver/lib");

  /** Returns where this process's linker looks. */
  static DriverFiles ofThisProcess() {
    List<Path> folders = new ArrayList<>();
    addAll(System.getenv().getOrDefault("LD_LIBRARY_PATH", ""), folders);
    addAll(System.getProperty("java.library.path", ""), folders);
    USUAL_FOLDERS.forEach(folder -> folders.add(Path.of(folder)));
    return new DriverFiles(Path.of("/etc/ld.so.cache"), folders);
  }

  private static void addAll(String searchPath, List<Path> folders) {
    int begin = 0;
    while (begin < searchPath.length()) {
      int end = searchPath.indexOf(File.pathSeparatorChar, begin);
      end = end < 0 ? searchPath.length() : end;
      add(searchPath.substring(begin, end), folders);
      begin = end + 1;
    }
  }

  private static void add(String folder, List<Path> folders) {
    try {
      if (!folder.isEmpty()) {
        folders.add(Path.of(folder));
      }
    } catch (InvalidPathException _) {
      // The linker would not find anything there either.
    }
  }

  /** Returns whether the driver's library is there. */
  boolean hasDriver() {
    for (Path folder : folders) {
      if (Files.exists(folder.resolve(LIBRARY))) {
        return true;
      }
    }
    return cacheNamesDriver();
  }

  /** The cache lists each library as a path that ends in a zero byte. */
  private boolean cacheNamesDriver() {
    try {
      String cache = new String(Files.readAllBytes(linkerCache), StandardCharsets.ISO_8859_1);
      int end = cache.indexOf("/" + LIBRARY + "\0");
      if (end < 0) {
        return false;
      }
      int begin = cache.lastIndexOf('\0', end) + 1;
      return Files.exists(Path.of(cache.substring(begin, end), LIBRARY));
    } catch (IOException | InvalidPathException _) {
      return false;
    }
  }
}
