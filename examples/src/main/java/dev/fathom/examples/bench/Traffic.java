package dev.fathom.examples.bench;

import dev.fathom.arch.Architectures;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What one generated token reads of the weights and computes with them, by kind of operation: the
 * terms of a roofline. Of experts, those that a token chooses count.
 */
public final class Traffic {

  /**
   * What the operations of a kind need for a token.
   *
   * @param count operations
   * @param bytes of weights as they are stored
   * @param flops two for each weight
   */
  public record Row(int count, long bytes, long flops) {
    private Row plus(long moreBytes, long moreFlops) {
      return new Row(count + 1, bytes + moreBytes, flops + moreFlops);
    }
  }

  private final Map<String, Row> rows = new LinkedHashMap<>();

  private Traffic() {}

  /**
   * Reads the headers of a checkpoint.
   *
   * @param target format that linears are brought to, or null
   */
  public static Traffic of(Checkpoint checkpoint, @Nullable WeightFormat target) {
    CheckpointWeights catalog = new CheckpointWeights(checkpoint, target);
    Program program =
        Architectures.forConfig(checkpoint.config()).program(checkpoint.config(), catalog);
    Traffic traffic = new Traffic();
    for (Op op : program.ops()) {
      traffic.add(op, catalog);
    }
    return traffic;
  }

  private void add(Op op, CheckpointWeights catalog) {
    if (op instanceof Op.Embed || op.weights().isEmpty()) {
      return; // An embedding is one row.
    }
    long bytes = 0;
    long flops = 0;
    for (WeightRef weight : op.weights()) {
      bytes += catalog.bytes(weight);
      flops += 2L * weight.rows() * weight.cols();
    }
    if (op instanceof Op.Moe moe) {
      int chosen = moe.routing().shape().last();
      bytes = bytes / moe.experts().size() * chosen;
      flops = flops / moe.experts().size() * chosen;
    }
    rows.put(op.kind(), rows.getOrDefault(op.kind(), new Row(0, 0, 0)).plus(bytes, flops));
  }

  /** Returns the rows by kind, in the order of the program. */
  public Map<String, Row> rows() {
    return Collections.unmodifiableMap(rows);
  }

  /** Returns the bytes of weights that a token reads. */
  public long bytesOfToken() {
    return rows.values().stream().mapToLong(Row::bytes).sum();
  }

  /** Returns the floating-point operations of a token, without attention to the cache. */
  public long flopsOfToken() {
    return rows.values().stream().mapToLong(Row::flops).sum();
  }
}
