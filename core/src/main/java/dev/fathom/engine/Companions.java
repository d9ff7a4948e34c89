package dev.fathom.engine;

import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tensors of one module: {@code X.weight}, {@code X.scale}, {@code X.qzeros}, ...
 *
 * @param checkpoint that holds them
 * @param stem "X."
 */
record Companions(Checkpoint checkpoint, String stem) {

  private static final String WEIGHT = "weight";

  /** The module of a weight: what its name says without "weight". */
  static Companions of(Checkpoint checkpoint, String name) {
    String stem =
        name.endsWith("." + WEIGHT)
            ? name.substring(0, name.length() - WEIGHT.length())
            : name + ".";
    return new Companions(checkpoint, stem);
  }

  @Nullable TensorInfo find(String leaf) {
    return checkpoint.find(stem + leaf);
  }

  TensorInfo require(String leaf, String why) {
    TensorInfo tensor = find(leaf);
    if (tensor == null) {
      throw new ModelConfigException(
          ErrorCode.TENSOR_MISSING,
          "The checkpoint lacks the tensor " + Text.quote(stem + leaf),
          why,
          "fetch the missing shard, or use a complete checkpoint");
    }
    return tensor;
  }

  /** Checks the type of a tensor and that it is a matrix. */
  static TensorInfo matrix(TensorInfo tensor, List<SafetensorsDtype> dtypes) {
    if (tensor.rank() != 2) {
      throw StoredWeight.mismatch(tensor, "expected a matrix, got rank " + tensor.rank());
    }
    return typed(tensor, dtypes);
  }

  /** Checks the type of a tensor. */
  static TensorInfo typed(TensorInfo tensor, List<SafetensorsDtype> dtypes) {
    if (!dtypes.contains(tensor.dtype())) {
      throw StoredWeight.mismatch(tensor, "expected one of " + dtypes + ", got " + tensor.dtype());
    }
    return tensor;
  }

  /** Checks the dimensions of a tensor. */
  static void shaped(TensorInfo tensor, List<Integer> shape) {
    if (!Arrays.equals(tensor.shape(), shape.stream().mapToLong(Integer::longValue).toArray())) {
      throw StoredWeight.mismatch(
          tensor, "expected " + shape + ", got " + Arrays.toString(tensor.shape()));
    }
  }
}
