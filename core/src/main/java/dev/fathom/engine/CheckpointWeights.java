package dev.fathom.engine;

import dev.fathom.arch.TensorCatalog;
import dev.fathom.arch.WeightRole;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.QuantizationConfig;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.E8m0;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a checkpoint as an architecture and a backend see them: a tensor, or an FP8 tensor
 * with the scales of its blocks ({@code NAME_scale_inv}, float32 or E8M0).
 *
 * <p>Immutable; nothing is read before {@link #read}.
 */
public final class CheckpointWeights implements TensorCatalog {

  private static final String SCALES = "_scale_inv";
  private static final int DEFAULT_BLOCK = 128;

  private final Checkpoint checkpoint;
  private final @Nullable QuantizationConfig quantization;

  /**
   * Looks at a checkpoint.
   *
   * @throws ModelConfigException if it is quantized in a way that cannot be read
   */
  public CheckpointWeights(Checkpoint checkpoint) {
    this.checkpoint = checkpoint;
    this.quantization = checkpoint.config().quantization();
    if (quantization != null) {
      quantization.requireKnown(List.of(QuantizationConfig.FP8));
    }
  }

  @Override
  public @Nullable Stored find(String name, List<Integer> expected, WeightRole role) {
    TensorInfo tensor = checkpoint.find(name);
    if (tensor == null) {
      return null;
    }
    List<Long> shape = Arrays.stream(tensor.shape()).boxed().toList();
    return new Stored(shape, format(tensor));
  }

  private WeightFormat format(TensorInfo tensor) {
    return switch (tensor.dtype()) {
      case F32 -> WeightFormat.F32;
      case F16 -> WeightFormat.F16;
      case BF16 -> WeightFormat.BF16;
      case F8_E4M3 -> {
        checkScales(tensor, scales(tensor));
        yield WeightFormat.FP8_E4M3;
      }
      default ->
          throw mismatch(
              tensor, "expected F32, F16, BF16 or F8_E4M3, got " + tensor.dtype(), "convert it");
    };
  }

  private TensorInfo scales(TensorInfo tensor) {
    TensorInfo scales = checkpoint.find(tensor.name() + SCALES);
    if (scales == null) {
      throw new ModelConfigException(
          ErrorCode.TENSOR_MISSING,
          "The checkpoint lacks the tensor " + Text.quote(tensor.name() + SCALES),
          "a tensor of type F8_E4M3 needs the scales of its blocks",
          "fetch the missing shard, or use a checkpoint with block scales");
    }
    return scales;
  }

  private void checkScales(TensorInfo tensor, TensorInfo scales) {
    boolean known =
        scales.dtype() == SafetensorsDtype.F32 || scales.dtype() == SafetensorsDtype.F8_E8M0;
    if (!known) {
      throw mismatch(scales, "expected F32 or F8_E8M0, got " + scales.dtype(), "convert it");
    }
    if (tensor.rank() != 2) {
      throw mismatch(tensor, "expected a matrix, got rank " + tensor.rank(), "convert it");
    }
    BlockScaleLayout layout = layout(tensor);
    if (!scales.hasShape(layout.scaleRows(), layout.scaleCols())) {
      throw mismatch(
          scales,
          "expected ["
              + layout.scaleRows()
              + ", "
              + layout.scaleCols()
              + "] for blocks of "
              + layout.blockRows()
              + " x "
              + layout.blockCols()
              + ", got "
              + Arrays.toString(scales.shape()),
          "use the config.json that belongs to these weights");
    }
  }

  private BlockScaleLayout layout(TensorInfo tensor) {
    QuantizationConfig blocks = quantization;
    boolean given = blocks != null && blocks.hasBlocks();
    return new BlockScaleLayout(
        Math.toIntExact(tensor.dim(0)),
        Math.toIntExact(tensor.dim(1)),
        blocks != null && given ? blocks.blockRows() : DEFAULT_BLOCK,
        blocks != null && given ? blocks.blockCols() : DEFAULT_BLOCK);
  }

  private static ModelConfigException mismatch(TensorInfo tensor, String why, String fix) {
    return new ModelConfigException(
        ErrorCode.TENSOR_MISMATCH,
        "The tensor " + Text.quote(tensor.name()) + " cannot be used",
        why,
        fix);
  }

  /** Returns the bytes that a weight has in memory: elements, and scales as float32. */
  public long bytes(WeightRef weight) {
    TensorInfo tensor = checkpoint.tensor(weight.name());
    return tensor.byteLength()
        + (weight.format() == WeightFormat.FP8_E4M3 ? layout(tensor).scaleBytes() : 0);
  }

  /** Returns the bytes of a weight in its files. */
  public long storedBytes(WeightRef weight) {
    TensorInfo tensor = checkpoint.tensor(weight.name());
    boolean scaled = weight.format() == WeightFormat.FP8_E4M3;
    return tensor.byteLength() + (scaled ? scales(tensor).byteLength() : 0);
  }

  /** Returns the number of files that hold the weights. */
  public int numFiles(List<WeightRef> weights) {
    Set<Path> files = new HashSet<>();
    weights.forEach(weight -> files.add(checkpoint.tensor(weight.name()).file()));
    return files.size();
  }

  /** Returns the weights in the order of the files and of their bytes: the fastest to read. */
  public List<WeightRef> inFileOrder(List<WeightRef> weights) {
    List<String> order = List.copyOf(checkpoint.tensors().keySet());
    Map<String, Integer> rank = new HashMap<>();
    for (int i = 0; i < order.size(); i++) {
      rank.put(order.get(i), i);
    }
    return weights.stream()
        .sorted(Comparator.comparingInt(w -> rank.getOrDefault(w.name(), Integer.MAX_VALUE)))
        .toList();
  }

  /** Where the bytes of a tensor come from. */
  @FunctionalInterface
  public interface Segments {

    /** Returns the tensor's bytes, valid as long as the arena. */
    MemorySegment of(TensorInfo tensor, Arena arena);
  }

  /**
   * Reads a weight.
   *
   * @param arena owns what is allocated
   * @throws dev.fathom.error.CheckpointException if the bytes cannot be read
   */
  public WeightMatrix read(WeightRef weight, Segments segments, Arena arena) {
    TensorInfo tensor = checkpoint.tensor(weight.name());
    MemorySegment data = segments.of(tensor, arena);
    if (weight.format() != WeightFormat.FP8_E4M3) {
      return WeightMatrix.dense(weight.format(), weight.rows(), weight.cols(), data);
    }
    BlockScaleLayout layout = layout(tensor);
    TensorInfo scaleTensor = scales(tensor);
    MemorySegment scales = segments.of(scaleTensor, arena);
    if (scaleTensor.dtype() == SafetensorsDtype.F8_E8M0) {
      MemorySegment floats = arena.allocate(layout.scaleBytes(), Float.BYTES);
      E8m0.decode(scales, floats);
      scales = floats;
    }
    return WeightMatrix.blockFp8(layout, data, scales);
  }
}
