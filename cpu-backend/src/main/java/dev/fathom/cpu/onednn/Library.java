package dev.fathom.cpu.onednn;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The native library and its functions, loaded once for the process; pointers are addresses.
 *
 * <p>Its files are copied out of the jar, loaded and deleted again. Its own threads are never
 * started: whoever calls it says first that the calling thread is alone ({@link #useOneThread}).
 */
// Loading native code and calling it is what this class is for.
@SuppressWarnings("restricted")
final class Library {

  /** What to add to a program that wants this library. */
  static final String COORDINATES = "org.bytedeco:dnnl:3.11-1.5.13:linux-x86_64";

  private static final String PLATFORM = "linux-x86_64";
  private static final String FOLDER = "org/bytedeco/dnnl/" + PLATFORM + "/";
  private static final String OPENMP = "libgomp.so.1";
  private static final String ONEDNN = "libdnnl.so.3";

  /** Instructions for products of bfloat16, as the library names them: AVX-512 with BF16. */
  private static final int AVX512_BF16 = 0xE7;

  private static final int CPU = 1;

  private static @Nullable Library loaded;

  final MethodHandle createStream;
  final MethodHandle destroyStream;
  final MethodHandle describeStrides;
  final MethodHandle describeTag;
  final MethodHandle destroyDescription;
  final MethodHandle describeMatmul;
  final MethodHandle destroyMatmul;
  final MethodHandle queryDescription;
  final MethodHandle bytesOf;
  final MethodHandle createAttributes;
  final MethodHandle destroyAttributes;
  final MethodHandle setScratchpad;
  final MethodHandle createPrimitive;
  final MethodHandle destroyPrimitive;
  final MethodHandle createMemory;
  final MethodHandle destroyMemory;
  final MethodHandle setData;
  final MethodHandle execute;
  final long engine;
  private final MethodHandle setThreads;

  private Library(SymbolLookup symbols, MethodHandle setThreads) {
    this.setThreads = setThreads;
    this.createStream = status(symbols, "dnnl_stream_create", JAVA_LONG, JAVA_LONG, JAVA_INT);
    this.destroyStream = status(symbols, "dnnl_stream_destroy", JAVA_LONG);
    this.describeStrides =
        status(
            symbols,
            "dnnl_memory_desc_create_with_strides",
            JAVA_LONG,
            JAVA_INT,
            JAVA_LONG,
            JAVA_INT,
            JAVA_LONG);
    this.describeTag =
        status(
            symbols,
            "dnnl_memory_desc_create_with_tag",
            JAVA_LONG,
            JAVA_INT,
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT);
    this.destroyDescription = status(symbols, "dnnl_memory_desc_destroy", JAVA_LONG);
    this.describeMatmul =
        status(
            symbols,
            "dnnl_matmul_primitive_desc_create",
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG);
    this.destroyMatmul = status(symbols, "dnnl_primitive_desc_destroy", JAVA_LONG);
    this.queryDescription =
        function(
            symbols,
            "dnnl_primitive_desc_query_md",
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT));
    this.bytesOf =
        function(symbols, "dnnl_memory_desc_get_size", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG));
    this.createAttributes = status(symbols, "dnnl_primitive_attr_create", JAVA_LONG);
    this.destroyAttributes = status(symbols, "dnnl_primitive_attr_destroy", JAVA_LONG);
    this.setScratchpad =
        status(symbols, "dnnl_primitive_attr_set_scratchpad_mode", JAVA_LONG, JAVA_INT);
    this.createPrimitive = status(symbols, "dnnl_primitive_create", JAVA_LONG, JAVA_LONG);
    this.destroyPrimitive = status(symbols, "dnnl_primitive_destroy", JAVA_LONG);
    this.createMemory =
        status(symbols, "dnnl_memory_create", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    this.destroyMemory = status(symbols, "dnnl_memory_destroy", JAVA_LONG);
    this.setData = status(symbols, "dnnl_memory_set_data_handle", JAVA_LONG, JAVA_LONG);
    this.execute =
        status(symbols, "dnnl_primitive_execute", JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG);
    requireBf16(symbols);
    this.engine = engine(symbols);
  }

  private static void requireBf16(SymbolLookup symbols) {
    int isa = (int) call(status(symbols, "dnnl_get_effective_cpu_isa"));
    if ((isa & AVX512_BF16) != AVX512_BF16) {
      throw unavailable(
          "this processor lacks AVX-512 with BF16: isa=0x" + Integer.toHexString(isa), null);
    }
  }

  private static long engine(SymbolLookup symbols) {
    MethodHandle create = status(symbols, "dnnl_engine_create", JAVA_LONG, JAVA_INT, JAVA_LONG);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(JAVA_LONG);
      check((int) create.invokeExact(result.address(), CPU, 0L));
      return result.get(JAVA_LONG, 0);
    } catch (Throwable t) {
      throw rethrow(t);
    }
  }

  /**
   * Returns the library, loaded by the first call.
   *
   * @throws BackendException where it is not there or this machine cannot run it
   */
  static synchronized Library get() {
    Library library = loaded;
    if (library == null) {
      library = load();
      loaded = library;
    }
    return library;
  }

  private static Library load() {
    String platform =
        System.getProperty("os.name").toLowerCase(Locale.ROOT)
            + "-"
            + System.getProperty("os.arch").replace("amd64", "x86_64");
    if (!platform.equals(PLATFORM)) {
      throw unavailable("it is known for " + PLATFORM + " only: platform=" + platform, null);
    }
    try {
      Path folder = Files.createTempDirectory("fathom-onednn");
      try {
        return load(folder);
      } finally {
        Files.deleteIfExists(folder.resolve(ONEDNN));
        Files.deleteIfExists(folder.resolve(OPENMP));
        Files.deleteIfExists(folder);
      }
    } catch (IOException e) {
      throw unavailable("its files cannot be copied out of the jar: " + e, e);
    }
  }

  private static Library load(Path folder) throws IOException {
    copy(OPENMP, folder);
    copy(ONEDNN, folder);
    try {
      // The second file wants the first one by its name and finds it among what is loaded.
      SymbolLookup.libraryLookup(folder.resolve(OPENMP), Arena.global());
      SymbolLookup symbols = SymbolLookup.libraryLookup(folder.resolve(ONEDNN), Arena.global());
      SymbolLookup threads = SymbolLookup.libraryLookup(OPENMP, Arena.global());
      return new Library(
          symbols, function(threads, "omp_set_num_threads", FunctionDescriptor.ofVoid(JAVA_INT)));
    } catch (IllegalArgumentException | UnsatisfiedLinkError e) {
      throw unavailable("it cannot be loaded from " + folder + ": " + e.getMessage(), e);
    }
  }

  private static void copy(String name, Path folder) throws IOException {
    try (InputStream in = open(FOLDER + name)) {
      if (in == null) {
        throw unavailable("neither class path nor module path has " + FOLDER + name, null);
      }
      Files.copy(in, folder.resolve(name));
    }
  }

  private static @Nullable InputStream open(String resource) {
    ClassLoader own = Library.class.getClassLoader();
    InputStream in = own == null ? null : own.getResourceAsStream(resource);
    ClassLoader context = Thread.currentThread().getContextClassLoader();
    return in == null && context != null ? context.getResourceAsStream(resource) : in;
  }

  private static BackendException unavailable(String why, @Nullable Throwable cause) {
    String what = "PrefillMode.ONEDNN cannot have its library";
    String fix =
        "add "
            + COORDINATES
            + " to the program (as a module: with --add-modules org.bytedeco.dnnl.linux.x86_64),"
            + " let java.io.tmpdir name a folder that code may be loaded from, or use"
            + " PrefillMode.JAVA";
    return cause == null
        ? new BackendException(ErrorCode.BACKEND_UNAVAILABLE, what, why, fix)
        : new BackendException(ErrorCode.BACKEND_UNAVAILABLE, what, why, fix, cause);
  }

  private static MethodHandle status(SymbolLookup symbols, String name, MemoryLayout... arguments) {
    return function(symbols, name, FunctionDescriptor.of(JAVA_INT, arguments));
  }

  private static MethodHandle function(
      SymbolLookup symbols, String name, FunctionDescriptor signature) {
    MemorySegment address =
        symbols
            .find(name)
            .orElseThrow(() -> unavailable("the library has no function " + name, null));
    return Linker.nativeLinker().downcallHandle(address, signature);
  }

  private static Object call(MethodHandle function) {
    try {
      return function.invoke();
    } catch (Throwable t) {
      throw rethrow(t);
    }
  }

  /** Lets what the calling thread asks for run on this thread alone. */
  void useOneThread() {
    try {
      setThreads.invokeExact(1);
    } catch (Throwable t) {
      throw rethrow(t);
    }
  }

  /** Throws where a function did not succeed. */
  static void check(int status) {
    if (status != 0) {
      throw new IllegalStateException("oneDNN: expected status 0, got " + status);
    }
  }

  /** Calls of native functions declare Throwable and throw unchecked ones at most. */
  static RuntimeException rethrow(Throwable t) {
    if (t instanceof Error e) {
      throw e;
    }
    return t instanceof RuntimeException e ? e : new IllegalStateException(t);
  }
}
