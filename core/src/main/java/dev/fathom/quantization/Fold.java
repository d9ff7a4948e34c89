package dev.fathom.quantization;

import dev.fathom.program.Op;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A place where the channels of an activation may be scaled without changing the model: whatever
 * produces them is divided by the factors that the columns of all readers are multiplied by.
 *
 * @param input the activation, C channels
 * @param readers linears that will be quantized
 * @param compensated matrices that stay as they are but for the factors: routers, kept linears
 * @param producer what is divided
 * @param powersOfTwo whether factors must be powers of two, since a compensated matrix keeps its
 *     short float type
 */
record Fold(
    Activation input,
    List<WeightRef> readers,
    List<WeightRef> compensated,
    Producer producer,
    boolean powersOfTwo) {

  Fold {
    readers = List.copyOf(readers);
    compensated = List.copyOf(compensated);
  }

  /** A fold with one reader. */
  static Fold of(Activation input, WeightRef reader, Producer producer) {
    return new Fold(input, List.of(reader), List.of(), producer, false);
  }

  /** Where an activation can be seen. */
  sealed interface Activation {

    /** A value of the program. */
    record Tapped(Value value) implements Activation {}

    /**
     * What an expert computes inside: silu(gate x) * (up x) of the tokens that are sent to it.
     *
     * @param moe the operation
     * @param route how its tokens are sent, or null where that cannot be recomputed
     * @param expert index
     */
    record Hidden(Op.Moe moe, Op.@Nullable Route route, int expert) implements Activation {}
  }

  /**
   * What the channels come from.
   *
   * @param weight a vector with one element a channel, or a matrix whose rows they are
   * @param bias of the matrix, or null
   * @param rows for a matrix the row of each channel; several channels may share one; null for a
   *     vector
   */
  record Producer(WeightRef weight, @Nullable WeightRef bias, int @Nullable [] rows) {}
}
