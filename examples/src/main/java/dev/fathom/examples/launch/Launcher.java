package dev.fathom.examples.launch;

import java.lang.reflect.InvocationTargetException;

/**
 * Starts the command line where the JVM is new enough, and says what is wrong where it is not.
 *
 * <p>Compiled for Java 8, so that an old JVM prints a sentence instead of an
 * UnsupportedClassVersionError; nothing else of Fathom is.
 */
public final class Launcher {

  private static final int MIN_JAVA = 25;
  private static final int EXIT_USAGE = 2;

  private Launcher() {}

  /** Starts the program with the same arguments. */
  public static void main(String[] args) throws ReflectiveOperationException {
    int java = featureVersion(System.getProperty("java.specification.version", ""));
    if (java < MIN_JAVA) {
      System.err.println(refusal(java, System.getProperty("java.home", "")));
      System.exit(EXIT_USAGE);
    }
    try {
      Class<?> program = Class.forName("dev.fathom.examples.Fathom");
      program.getMethod("main", String[].class).invoke(null, (Object) args);
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof RuntimeException) {
        throw (RuntimeException) e.getCause();
      }
      throw e;
    }
  }

  /** Returns 17 for "17", 8 for "1.8", 0 for what cannot be read. */
  static int featureVersion(String specification) {
    String number = specification.startsWith("1.") ? specification.substring(2) : specification;
    try {
      return Integer.parseInt(number);
    } catch (NumberFormatException e) {
      return 0;
    }
  }

  /** Returns what is said to a JVM that is too old. */
  static String refusal(int java, String home) {
    return "error: Fathom needs Java "
        + MIN_JAVA
        + " or newer, this is Java "
        + java
        + "\n  why: it uses the Vector API and the foreign memory API as they are in JDK "
        + MIN_JAVA
        + "; this JVM is "
        + home
        + "\n  fix: install a JDK "
        + MIN_JAVA
        + " and start its bin/java, or run ./fathom, which finds an installed one";
  }
}
