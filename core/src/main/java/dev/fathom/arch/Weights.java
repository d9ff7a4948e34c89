package dev.fathom.arch;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import dev.fathom.program.WeightRef;
import java.util.List;

/**
 * Looks the weights of an architecture up and checks that the checkpoint stores what the
 * configuration says.
 *
 * <p>Names are those of the checkpoint, {@code X.weight}, whatever the tensors that a matrix is
 * packed in. A missing tensor and one of another shape are {@link ModelConfigException}s.
 */
public final class Weights {

  private final TensorCatalog catalog;

  /** Looks weights up in a catalog. */
  public Weights(TensorCatalog catalog) {
    this.catalog = catalog;
  }

  /** Returns a matrix [out, in] of a linear layer. */
  public WeightRef linear(String name, int out, int in) {
    return find(name, List.of(out, in), WeightRole.LINEAR);
  }

  /** Returns a matrix [out, in] that quantizers leave alone. */
  public WeightRef dense(String name, int out, int in) {
    return find(name, List.of(out, in), WeightRole.DENSE);
  }

  /** Returns whether the checkpoint stores a tensor of this name. */
  public boolean has(String name) {
    return catalog.find(name, List.of(), WeightRole.DENSE) != null;
  }

  /** Returns a vector [len]. */
  public WeightRef vector(String name, int len) {
    return find(name, List.of(len), WeightRole.VECTOR);
  }

  private WeightRef find(String name, List<Integer> expected, WeightRole role) {
    TensorCatalog.Stored stored = catalog.find(name, expected, role);
    if (stored == null) {
      throw new ModelConfigException(
          ErrorCode.TENSOR_MISSING,
          "The checkpoint lacks the tensor " + Text.quote(name),
          "config.json describes a model that needs it with shape " + expected,
          "use the config.json that belongs to these weights, or fetch the missing shard");
    }
    if (!equal(stored.shape(), expected)) {
      throw new ModelConfigException(
          ErrorCode.TENSOR_MISMATCH,
          "The tensor " + Text.quote(name) + " has the wrong shape",
          "expected " + expected + " from config.json, got " + stored.shape(),
          "use the config.json that belongs to these weights");
    }
    return new WeightRef(name, expected, stored.format());
  }

  /** Plain loop: a large model asks tens of thousands of times while the JVM is cold. */
  private static boolean equal(List<Long> shape, List<Integer> expected) {
    boolean equal = shape.size() == expected.size();
    for (int i = 0; equal && i < shape.size(); i++) {
      equal = shape.get(i) == expected.get(i).longValue();
    }
    return equal;
  }
}
