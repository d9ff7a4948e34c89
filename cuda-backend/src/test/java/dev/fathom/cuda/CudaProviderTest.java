package dev.fathom.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.backend.Availability;
import dev.fathom.backend.BackendProvider;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CudaProviderTest {

  private static final CudaDevices H100 =
      new CudaDevices(0, "", 1, "NVIDIA H100 (compute capability 9.0, 81079 MiB)");

  /** A linux machine where everything works, unless a test changes a field. */
  private static final class FakeSystem implements CudaSystem {
    String os = "Linux";
    String arch = "amd64";
    boolean presets = true;
    boolean driver = true;
    boolean nativeAccess = true;
    Supplier<CudaDevices> devices = () -> H100;
    int queries;

    @Override
    public String operatingSystem() {
      return os;
    }

    @Override
    public String architecture() {
      return arch;
    }

    @Override
    public boolean hasPresets() {
      return presets;
    }

    @Override
    public boolean hasDriver() {
      return driver;
    }

    @Override
    public boolean allowsNativeAccess() {
      return nativeAccess;
    }

    @Override
    public CudaDevices devices() {
      queries++;
      return devices.get();
    }
  }

  private final FakeSystem system = new FakeSystem();

  private Availability probe() {
    return new CudaProvider(system).probe();
  }

  private Availability probeFailing(Throwable failure) {
    system.devices =
        () -> {
          throw sneaky(failure);
        };
    return probe();
  }

  // The cast tricks the compiler: the fake must throw checked exceptions, as a broken JNI may.
  @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"})
  private static <T extends Throwable> RuntimeException sneaky(Throwable failure) throws T {
    throw (T) failure;
  }

  @Test
  void theServiceLoaderFindsTheProvider() {
    assertThat(ServiceLoader.load(BackendProvider.class))
        .anySatisfy(provider -> {
          assertThat(provider).isInstanceOf(CudaProvider.class);
          assertThat(provider.name()).isEqualTo("cuda");
          assertThat(provider.preference()).isEqualTo(100);
        });
  }

  @Test
  void theRealProbeAnswersTheSameTwiceAndNamesAFix() {
    CudaProvider provider = new CudaProvider();
    Availability first = provider.probe();
    assertThat(first.available()).isFalse();
    assertThat(first.reason()).isNotBlank();
    assertThat(first.fix()).isNotBlank();
    assertThat(provider.probe()).isSameAs(first);
  }

  @Test
  void aFoundDeviceIsNamedButStillUnavailableWithoutKernels() {
    Availability found = probe();
    assertThat(found.available()).isFalse();
    assertThat(found.reason())
        .isEqualTo(
            "probe: device NVIDIA H100 (compute capability 9.0, 81079 MiB) found, but this build"
                + " has no CUDA kernels yet");
    assertThat(found.fix()).contains("backend(\"cpu\")");
  }

  @Test
  void anotherOperatingSystemOrProcessorIsNamed() {
    system.os = "Mac OS X";
    system.arch = "aarch64";
    assertThat(probe().reason())
        .isEqualTo("CUDA runs on linux x86_64 only, this is Mac OS X aarch64");
    assertThat(system.queries).isZero();
  }

  @Test
  void withoutADriverNothingNativeIsLoaded() {
    system.driver = false;
    assertThat(probe().reason()).isEqualTo("no NVIDIA driver: libcuda.so.1 is not installed");
    assertThat(system.queries).isZero();
  }

  @Test
  void absentPresetsAreNamed() {
    system.presets = false;
    assertThat(probe().reason()).isEqualTo("the Bytedeco CUDA presets are not on the class path");
    assertThat(system.queries).isZero();
  }

  @Test
  void withoutNativeAccessNothingNativeIsLoadedSoThatTheJvmPrintsNoWarning() {
    system.nativeAccess = false;
    assertThat(probe().reason()).contains("native access is not enabled", "no CUDA kernels yet");
    assertThat(system.queries).isZero();
  }

  @Test
  void aDriverWithoutDevicesIsNamed() {
    system.devices = () -> new CudaDevices(0, "", 0, "");
    Availability none = probe();
    assertThat(none.reason()).isEqualTo("the NVIDIA driver shows no device to this process");
    system.devices = () -> new CudaDevices(CudaProbe.NO_DEVICE, "no device", 0, "");
    assertThat(probe()).isEqualTo(none);
  }

  @Test
  void anOldDriverIsNamed() {
    system.devices = () -> new CudaDevices(CudaProbe.INSUFFICIENT_DRIVER, "insufficient", 0, "");
    assertThat(probe().reason()).isEqualTo("the NVIDIA driver is too old for CUDA 13");
  }

  @Test
  void anotherErrorOfTheRuntimeKeepsItsNumberAndText() {
    system.devices = () -> new CudaDevices(802, "system not yet initialized", 0, "");
    assertThat(probe().reason()).contains("error 802", "system not yet initialized");
  }

  @Test
  void linkErrorsAreSortedByTheLibraryThatIsMissing() {
    Throwable runtime =
        new NoClassDefFoundError("Could not initialize class")
            .initCause(
                new ExceptionInInitializerError(
                    new UnsatisfiedLinkError("libcudart.so.13: cannot open shared object file")));
    assertThat(probeFailing(runtime).reason()).startsWith("no CUDA 13 runtime");
    assertThat(probeFailing(new UnsatisfiedLinkError("libcuda.so.1: cannot open")).reason())
        .startsWith("the NVIDIA driver does not load");
    assertThat(probeFailing(new UnsatisfiedLinkError("no jnicudart in java.library.path")).reason())
        .startsWith("the native part of the Bytedeco CUDA presets is not on the class path");
    assertThat(probeFailing(new UnsatisfiedLinkError("GLIBC_2.99 not found")).reason())
        .startsWith("the CUDA libraries do not load")
        .contains("GLIBC_2.99 not found");
  }

  @Test
  void everyReasonDiffersAndHasAFix() {
    Set<String> reasons = new HashSet<>();
    List<Availability> answers =
        List.of(
            probe(),
            probeFailing(new UnsatisfiedLinkError("libcuda.so.1: cannot open")),
            probeFailing(new UnsatisfiedLinkError("libcudart.so.13: cannot open")),
            probeFailing(new UnsatisfiedLinkError("no jnijavacpp in java.library.path")),
            probeFailing(new IllegalStateException("odd")));
    for (Availability answer : answers) {
      assertThat(reasons.add(answer.reason())).as(answer.reason()).isTrue();
      assertThat(answer.fix()).isNotBlank();
    }
  }

  @Test
  void creatingTheBackendFailsWithTheReasonAndTheFixOfTheProbe() {
    system.driver = false;
    CudaProvider provider = new CudaProvider(system);
    assertThatThrownBy(() -> provider.create(0))
        .isInstanceOfSatisfying(
            BackendException.class,
            e -> {
              assertThat(e.code()).isEqualTo(ErrorCode.BACKEND_UNAVAILABLE);
              assertThat(e.why()).isEqualTo(provider.probe().reason());
              assertThat(e.fix()).isEqualTo(provider.probe().fix());
            });
  }

  @Test
  void theProbeRunsOnce() {
    CudaProvider provider = new CudaProvider(system);
    assertThat(provider.probe()).isSameAs(provider.probe());
    assertThat(system.queries).isOne();
  }

  @Test
  void theDriverIsFoundInAFolderOrThroughTheLinkerCache(@TempDir Path folder) throws IOException {
    Path cache = folder.resolve("ld.so.cache");
    Path driver = Files.createDirectory(folder.resolve("lib"));
    Files.writeString(
        cache,
        "libcuda.so.1\0" + driver + "/libcuda.so.1\0libcudart.so.13\0/x/libcudart.so.13\0",
        StandardCharsets.ISO_8859_1);
    assertThat(new DriverFiles(cache, List.of(driver)).hasDriver()).isFalse();
    Files.createFile(driver.resolve("libcuda.so.1"));
    assertThat(new DriverFiles(cache, List.of()).hasDriver()).isTrue();
    assertThat(new DriverFiles(folder.resolve("none"), List.of(driver)).hasDriver()).isTrue();
    assertThat(new DriverFiles(folder.resolve("none"), List.of(folder)).hasDriver()).isFalse();
  }
}
