package dev.fathom.cuda;

import java.util.Locale;
import org.bytedeco.cuda.cudart.cudaDeviceProp;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.BytePointer;

/**
 * Asks the CUDA runtime for its devices. Touching this class loads native libraries and may throw
 * any {@link LinkageError}; {@link CudaProbe} sorts them.
 */
final class DeviceQuery {

  private DeviceQuery() {}

  static CudaDevices run() {
    int[] count = new int[1];
    int status = cudart.cudaGetDeviceCount(count);
    if (status != cudart.cudaSuccess) {
      return new CudaDevices(status, text(status), 0, "");
    }
    return count[0] == 0 ? new CudaDevices(0, "", 0, "") : describeFirst(count[0]);
  }

  private static CudaDevices describeFirst(int count) {
    try (cudaDeviceProp device = new cudaDeviceProp()) {
      int status = cudart.cudaGetDeviceProperties(device, 0);
      if (status != cudart.cudaSuccess) {
        return new CudaDevices(status, text(status), count, "");
      }
      return new CudaDevices(0, "", count, describe(device));
    }
  }

  private static String describe(cudaDeviceProp device) {
    try (BytePointer name = device.name()) {
      return String.format(
          Locale.ROOT,
          "%s (compute capability %d.%d, %d MiB)",
          name.getString(),
          device.major(),
          device.minor(),
          device.totalGlobalMem() >> 20);
    }
  }

  private static String text(int status) {
    try (BytePointer message = cudart.cudaGetErrorString(status)) {
      return message.getString();
    }
  }
}
