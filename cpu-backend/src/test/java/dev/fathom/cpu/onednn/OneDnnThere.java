package dev.fathom.cpu.onednn;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.error.BackendException;

/** Whether the library can be tested on this machine. */
public final class OneDnnThere {

  private OneDnnThere() {}

  /** Skips a test where the processor or the platform cannot run the library. */
  public static void orSkip() {
    String reason = "";
    try {
      Products.require();
    } catch (BackendException e) {
      reason = e.getMessage();
    }
    // A jar that is missing, or damaged, is a failure of the build and not of the machine.
    boolean isOfMachine = reason.contains("is known for") || reason.contains("lacks AVX-512");
    assumeTrue(!isOfMachine, "skipped: " + reason);
  }
}
