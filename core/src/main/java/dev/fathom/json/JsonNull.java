package dev.fathom.json;

/** The JSON {@code null}. */
public enum JsonNull implements JsonValue {
  /** The only value. */
  NULL
}
