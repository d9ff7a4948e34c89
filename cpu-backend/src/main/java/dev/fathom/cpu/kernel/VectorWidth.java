package dev.fathom.cpu.kernel;

import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The width of the vectors that the kernels are compiled for: constants of the process, since
 * vector code is fast only where its shape is a constant. The first backend decides.
 */
public final class VectorWidth {

  private static final AtomicInteger WANTED = new AtomicInteger();

  private VectorWidth() {}

  /**
   * Fixes the width, or checks the one that is fixed.
   *
   * @param bits 128, 256 or 512, or 0 for whatever it is
   * @throws BackendException if the machine or the process has another one
   */
  public static void require(int bits) {
    WANTED.compareAndSet(0, bits);
    int fixed = Lanes.vectorBits();
    if (bits != 0 && bits != fixed) {
      throw new BackendException(
          ErrorCode.BACKEND_UNSUPPORTED,
          "The cpu backend cannot use vectors of " + bits + " bits",
          "must be what this machine has and this process uses: vectorBits=" + fixed,
          "leave vectorBits out, or ask for it with the first model of the process");
    }
  }

  /** Returns the wanted bits, or 0. */
  static int wanted() {
    return WANTED.get();
  }
}
