package dev.fathom.arch;

import dev.fathom.quant.WeightFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a checkpoint says about its weights, without their bytes. */
@FunctionalInterface
public interface TensorCatalog {

  /**
   * Looks a weight up.
   *
   * @param name tensor name
   * @param expected shape that the architecture expects; a catalog of a checkpoint ignores it
   * @param role what the weight is used for; a catalog of a checkpoint ignores it
   * @return what is stored, or null where nothing has this name
   */
  @Nullable Stored find(String name, List<Integer> expected, WeightRole role);

  /**
   * A stored weight.
   *
   * @param shape dimensions in the checkpoint
   * @param format how its elements are stored
   */
  record Stored(List<Long> shape, WeightFormat format) {}
}
