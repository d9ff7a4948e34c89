package dev.fathom.program;

/** The leading axis of a value: how many vectors it has is known only when a step is planned. */
public enum Lead {
  /** One vector for each token of the step. */
  TOKENS("T"),
  /** One vector for each row whose logits are wanted. */
  ROWS("R");

  private final String symbol;

  Lead(String symbol) {
    this.symbol = symbol;
  }

  /** Returns the letter that shapes print. */
  public String symbol() {
    return symbol;
  }
}
