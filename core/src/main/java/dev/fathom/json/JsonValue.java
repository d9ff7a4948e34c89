package dev.fathom.json;

/** A JSON value; immutable. Made by {@link Json#parse}, or by hand to be written. */
public sealed interface JsonValue
    permits JsonObject, JsonArray, JsonString, JsonNumber, JsonBoolean, JsonNull {}
