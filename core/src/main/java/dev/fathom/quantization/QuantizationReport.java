package dev.fathom.quantization;

import java.time.Duration;
import java.util.List;

/**
 * What a quantization did.
 *
 * @param recipe that was followed
 * @param layout what the target's {@code quant_method} is
 * @param numQuantized linears that were quantized
 * @param numKept linears that stayed as they were
 * @param sourceBytes bytes of the source's tensors
 * @param targetBytes bytes of the target's tensors
 * @param numShards files of weights
 * @param numResumed of these, the ones that an interrupted run had written
 * @param notes what a user should know, such as matrices with a smaller group; a line each
 * @param took wall time
 */
public record QuantizationReport(
    QuantizationRecipe recipe,
    String layout,
    int numQuantized,
    int numKept,
    long sourceBytes,
    long targetBytes,
    int numShards,
    int numResumed,
    List<String> notes,
    Duration took) {

  /** Copies the notes. */
  public QuantizationReport {
    notes = List.copyOf(notes);
  }
}
