package dev.fathom.backend;

/**
 * Whether a backend can run in this process, and why.
 *
 * @param available whether {@link BackendProvider#create} may be called
 * @param reason one clause: what was found, or what is missing
 * @param fix what makes it available, empty where it is or where nothing would
 */
public record Availability(boolean available, String reason, String fix) {

  /** Returns that the backend can run. */
  public static Availability yes(String reason) {
    return new Availability(true, reason, "");
  }

  /** Returns that the backend cannot run. */
  public static Availability no(String reason, String fix) {
    return new Availability(false, reason, fix);
  }
}
