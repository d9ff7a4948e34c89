package dev.fathom.engine;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import org.jspecify.annotations.Nullable;

/**
 * Where a request stands among the others.
 *
 * @param priority lower goes first; equal ones go by arrival
 * @param saltHigh with saltLow a digest of the tenant: only requests of one tenant share prefixes
 * @param saltLow see saltHigh; both 0 for no tenant
 */
public record Placement(int priority, long saltHigh, long saltLow) {

  /** Neither urgent nor of a tenant. */
  public static final Placement DEFAULT = new Placement(0, 0, 0);

  /** Returns the place of a tenant's request; null for no tenant. */
  public static Placement of(int priority, @Nullable String tenant) {
    if (tenant == null) {
      return new Placement(priority, 0, 0);
    }
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(tenant.getBytes(StandardCharsets.UTF_8));
      ByteBuffer buffer = ByteBuffer.wrap(digest);
      return new Placement(priority, buffer.getLong(), buffer.getLong());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
