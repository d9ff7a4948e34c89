package dev.fathom;

/**
 * How much memory a model may take.
 *
 * @param bytes the smallest of the limits
 * @param limit which limit that is, such as {@code memoryBudget} or {@code container limit 8.0 GiB}
 * @param machineBytes what the machine and its container leave, without the budget of the options
 */
public record AvailableMemory(long bytes, String limit, long machineBytes) {

  /** Returns the number and the limit, such as {@code 8.0 GiB are available (memoryBudget)}. */
  @Override
  public String toString() {
    return Bytes.of(bytes) + " are available (" + limit + ")";
  }
}
