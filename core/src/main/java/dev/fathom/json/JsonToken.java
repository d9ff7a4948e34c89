package dev.fathom.json;

/** What {@link JsonReader#next} found. */
public enum JsonToken {
  /** An opening brace. */
  BEGIN_OBJECT,
  /** A closing brace. */
  END_OBJECT,
  /** An opening bracket. */
  BEGIN_ARRAY,
  /** A closing bracket. */
  END_ARRAY,
  /** The name of a field; its value is the next token. */
  NAME,
  /** A string value. */
  STRING,
  /** A number value. */
  NUMBER,
  /** The value true. */
  TRUE,
  /** The value false. */
  FALSE,
  /** The value null. */
  NULL,
  /** The end of the document: one value was read, only white space follows. */
  END
}
