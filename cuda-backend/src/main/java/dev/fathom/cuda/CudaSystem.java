package dev.fathom.cuda;

/**
 * What the probe asks of the process it runs in, cheapest question first. Each may throw what it
 * likes, errors of class loading and linking included.
 */
interface CudaSystem {

  /** Returns the operating system as {@code os.name} has it. */
  String operatingSystem();

  /** Returns the processor architecture as {@code os.arch} has it. */
  String architecture();

  /** Returns whether the Java part of the Bytedeco CUDA presets can be found; loads nothing. */
  boolean hasPresets();

  /** Returns whether the NVIDIA driver's library is installed; loads nothing. */
  boolean hasDriver();

  /**
   * Returns whether native libraries may be loaded without a warning of the JVM on standard error.
   */
  boolean allowsNativeAccess();

  /** Loads the CUDA runtime and asks it for devices. */
  CudaDevices devices();
}
