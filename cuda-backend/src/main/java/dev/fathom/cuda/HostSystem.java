package dev.fathom.cuda;

/** The answers of the process that this code runs in. */
final class HostSystem implements CudaSystem {

  private static final String PRESET = "org.bytedeco.cuda.global.cudart";
  private static final String LOADER = "org.bytedeco.javacpp.Loader";

  @Override
  public String operatingSystem() {
    return System.getProperty("os.name", "unknown");
  }

  @Override
  public String architecture() {
    return System.getProperty("os.arch", "unknown");
  }

  @Override
  public boolean hasPresets() {
    try {
      return find(PRESET) != null && find(LOADER) != null;
    } catch (ClassNotFoundException | LinkageError _) {
      return false;
    }
  }

  @Override
  public boolean hasDriver() {
    return DriverFiles.ofThisProcess().hasDriver();
  }

  @Override
  public boolean allowsNativeAccess() {
    try {
      return find(LOADER).getModule().isNativeAccessEnabled();
    } catch (ClassNotFoundException _) {
      return false;
    }
  }

  @Override
  public CudaDevices devices() {
    return DeviceQuery.run();
  }

  /** Finds a class without running its initializer, which would load native code. */
  private static Class<?> find(String name) throws ClassNotFoundException {
    return Class.forName(name, false, HostSystem.class.getClassLoader());
  }
}
