package dev.fathom.json;

/**
 * A JSON string.
 *
 * @param value the characters after unescaping; from a parsed document never a lone surrogate
 */
public record JsonString(String value) implements JsonValue {}
