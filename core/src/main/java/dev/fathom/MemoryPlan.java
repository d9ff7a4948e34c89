package dev.fathom;

import dev.fathom.quant.WeightFormat;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The memory that a model needs and what there is, computed from headers alone.
 *
 * @param weightBytes by the format they are stored in, with everything the backend adds
 * @param weightFiles files that hold them
 * @param kvCacheBytes key-value cache, with the memory of its second tier
 * @param scratchBytes work buffers of a step, an upper bound
 * @param adapterBytes room for adapters
 * @param loadingBytes more than the final total that loading needs for a while
 * @param contextTokens most tokens of a sequence
 * @param maxSequences sequences at once
 * @param available what there is, and which limit binds
 * @param remedies what to change, empty where the model fits
 */
public record MemoryPlan(
    Map<WeightFormat, Long> weightBytes,
    int weightFiles,
    long kvCacheBytes,
    long scratchBytes,
    long adapterBytes,
    long loadingBytes,
    int contextTokens,
    int maxSequences,
    AvailableMemory available,
    List<Remedy> remedies) {

  /** Copies the collections. */
  public MemoryPlan {
    weightBytes = Collections.unmodifiableMap(new LinkedHashMap<>(weightBytes));
    remedies = List.copyOf(remedies);
  }

  /** Returns the bytes of all weights. */
  public long totalWeightBytes() {
    return weightBytes.values().stream().mapToLong(Long::longValue).sum();
  }

  /** Returns the bytes of everything together. */
  public long totalBytes() {
    return totalWeightBytes() + kvCacheBytes + scratchBytes + adapterBytes + loadingBytes;
  }

  /** Returns whether the total is available. */
  public boolean fits() {
    return totalBytes() <= available.bytes();
  }

  /** Returns the breakdown as one line: weights, KV cache, work buffers. */
  public String breakdown() {
    StringBuilder out = new StringBuilder("weights ").append(Bytes.of(totalWeightBytes()));
    out.append(" (").append(formats()).append(", ").append(weightFiles);
    out.append(weightFiles == 1 ? " file)" : " files)");
    out.append(" + KV cache ").append(Bytes.of(kvCacheBytes));
    out.append(" (").append(contextTokens).append(" tokens x ").append(maxSequences);
    out.append(" seq) + work buffers ").append(Bytes.of(scratchBytes));
    if (adapterBytes > 0) {
      out.append(" + adapters ").append(Bytes.of(adapterBytes));
    }
    if (loadingBytes > 0) {
      out.append(" + while loading ").append(Bytes.of(loadingBytes));
    }
    return out.toString();
  }

  private String formats() {
    return String.join(
        ", ",
        weightBytes.entrySet().stream()
            .map(e -> e.getKey().toString() + " " + Bytes.of(e.getValue()))
            .toList());
  }

  /** Returns need, breakdown and, where it does not fit, the remedies: two or three lines. */
  @Override
  public String toString() {
    StringBuilder out = new StringBuilder("This model needs ").append(Bytes.of(totalBytes()));
    out.append(", ").append(available).append(".\n  ").append(breakdown());
    if (!remedies.isEmpty()) {
      out.append("\nWhat you can do: ");
      out.append(String.join(" | ", remedies.stream().map(Remedy::toString).toList()));
    }
    return out.toString();
  }
}
