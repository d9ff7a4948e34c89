package dev.fathom.cuda;

import dev.fathom.backend.Availability;
import dev.fathom.error.Text;
import java.util.Locale;

/**
 * A list of guards, each with its reason and its fix: the first that fails is the answer. Cheap
 * ones come first; native code is loaded only after the driver was seen.
 */
final class CudaProbe {

  /** cudaErrorInsufficientDriver: the driver is older than the runtime. */
  static final int INSUFFICIENT_DRIVER = 35;

  /** cudaErrorNoDevice. */
  static final int NO_DEVICE = 100;

  static final String NO_KERNELS = "but this build has no CUDA kernels yet";
  static final String USE_CPU = "use the cpu backend: backend(\"cpu\") or backend(\"auto\")";

  private CudaProbe() {}

  /** Returns the answer; never throws and never says yes. */
  static Availability run(CudaSystem system) {
    try {
      return check(system);
    } catch (Throwable failure) {
      return linkFailure(failure);
    }
  }

  private static Availability check(CudaSystem system) {
    String os = system.operatingSystem();
    String arch = system.architecture();
    if (!os.toLowerCase(Locale.ROOT).startsWith("linux") || !isX64(arch)) {
      return Availability.no("CUDA runs on linux x86_64 only, this is " + os + " " + arch, USE_CPU);
    }
    if (!system.hasDriver()) {
      return Availability.no(
          "no NVIDIA driver: libcuda.so.1 is not installed",
          "install the NVIDIA driver 580 or newer; in a container start it with --gpus all");
    }
    if (!system.hasPresets()) {
      return Availability.no(
          "the Bytedeco CUDA presets are not on the class path",
          "add the dependency fathom-cuda-backend with its org.bytedeco dependencies");
    }
    if (!system.allowsNativeAccess()) {
      return Availability.no(
          "an NVIDIA driver was found (its devices were not queried, as native access is not"
              + " enabled), "
              + NO_KERNELS,
          USE_CPU);
    }
    return judge(system.devices());
  }

  private static boolean isX64(String arch) {
    return arch.equals("amd64") || arch.equals("x86_64");
  }

  private static Availability judge(CudaDevices found) {
    if (found.status() == INSUFFICIENT_DRIVER) {
      return Availability.no(
          "the NVIDIA driver is too old for CUDA 13", "install the NVIDIA driver 580 or newer");
    }
    if (found.status() == NO_DEVICE || (found.status() == 0 && found.numDevices() == 0)) {
      return Availability.no(
          "the NVIDIA driver shows no device to this process",
          "check nvidia-smi and CUDA_VISIBLE_DEVICES; in a container start it with --gpus all");
    }
    if (found.status() != 0) {
      return Availability.no(
          "the CUDA runtime failed with error "
              + found.status()
              + ": "
              + Text.quote(found.statusText()),
          "run nvidia-smi and repair the driver installation, or " + USE_CPU);
    }
    return Availability.no(
        "probe: device " + found.firstDevice() + " found, " + NO_KERNELS, USE_CPU);
  }

  private static Availability linkFailure(Throwable failure) {
    String messages = messages(failure);
    if (messages.contains("libcuda.so")) {
      return Availability.no(
          "the NVIDIA driver does not load: " + Text.quote(messages),
          "install the NVIDIA driver 580 or newer; in a container start it with --gpus all");
    }
    if (messages.contains("libcudart.so")) {
      return Availability.no(
          "no CUDA 13 runtime: libcudart.so.13 does not load",
          "install the CUDA 13 runtime (package cuda-cudart-13-0) or add the dependency"
              + " org.bytedeco:cuda-redist with classifier linux-x86_64");
    }
    if (messages.contains("no jnicudart") || messages.contains("no jnijavacpp")) {
      return Availability.no(
          "the native part of the Bytedeco CUDA presets is not on the class path",
          "add org.bytedeco:javacpp and org.bytedeco:cuda with classifier linux-x86_64");
    }
    return Availability.no(
        "the CUDA libraries do not load: " + Text.quote(messages),
        "repair the CUDA 13 installation, or " + USE_CPU);
  }

  /** The names and messages of a failure and of what caused it, outermost first. */
  private static String messages(Throwable failure) {
    StringBuilder out = new StringBuilder();
    Throwable next = failure;
    for (int depth = 0; next != null && depth < 8; depth++) {
      out.append(depth == 0 ? "" : "; ").append(next.getClass().getSimpleName());
      out.append(": ").append(next.getMessage());
      next = next.getCause();
    }
    return out.toString();
  }
}
