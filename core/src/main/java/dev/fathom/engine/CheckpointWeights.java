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
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a checkpoint as an architecture and a backend see them: a tensor, or a packed
 * tensor with its scales, zero points and group index.
 *
 * <p>Each tensor's name, type and shape say how it is packed, so that modules left unquantized and
 * mixed checkpoints need no list: {@code ignore} and {@code modules_to_not_convert} are not read.
 * {@code quantization_config} confirms it and gives what tensors cannot say (spec 09, rule 0):
 *
 * <ul>
 *   <li>floats; E4M3 with scales of blocks, rows or all; E2M1 pairs: {@link BlockWeights}
 *   <li>AWQ and GPTQ, {@code X.qweight}: {@link WordWeights}
 *   <li>compressed-tensors, {@code X.weight_packed} and I8: {@link CompressedTensors}
 * </ul>
 *
 * <p>Nothing is read before {@link #read}. Safe for several threads.
 */
public final class CheckpointWeights implements TensorCatalog {

  private final Checkpoint checkpoint;
  private final BlockWeights blocks;
  private final WordWeights words;
  private final CompressedTensors compressed;
  private final @Nullable WeightFormat target;
  private final Map<String, StoredWeight> known = new ConcurrentHashMap<>();

  /**
   * Looks at a checkpoint.
   *
   * @throws ModelConfigException if it is quantized in a way that cannot be read
   */
  public CheckpointWeights(Checkpoint checkpoint) {
    this(checkpoint, null);
  }

  /**
   * Looks at a checkpoint whose linears are brought to another format while they are read; what is
   * stored in it already is kept.
   *
   * @param target one of BF16, FP8_E4M3, INT8 and INT4, or null to keep all
   * @throws ModelConfigException if it is quantized in a way that cannot be read
   * @throws IllegalArgumentException if weights cannot be brought to the format
   */
  public CheckpointWeights(Checkpoint checkpoint, @Nullable WeightFormat target) {
    if (target != null && !Requantized.FORMATS.contains(target)) {
      throw new IllegalArgumentException(
          "must be one of " + Requantized.FORMATS + ": weights=" + target);
    }
    this.checkpoint = checkpoint;
    this.target = target;
    QuantizationConfig config = checkpoint.quantization();
    QuantizationRules rules = new QuantizationRules(config);
    this.blocks = new BlockWeights(config, rules);
    this.words = new WordWeights(rules);
    this.compressed = new CompressedTensors(rules);
  }

  /**
   * Looks a weight up by the architecture's name, {@code X.weight}, whatever the names of the
   * tensors that it is packed in.
   *
   * @throws ModelConfigException if its tensors do not belong together or cannot be read
   */
  @Override
  public @Nullable Stored find(String name, List<Integer> expected, WeightRole role) {
    StoredWeight weight = lookUp(name, expected);
    if (weight == null) {
      return null;
    }
    boolean changes = target != null && role == WeightRole.LINEAR && weight.shape().size() == 2;
    return new Stored(weight.shape(), target != null && changes ? target : weight.format());
  }

  /** Looks each weight up once: plans ask for tens of thousands again and again. */
  private @Nullable StoredWeight lookUp(String name, List<Integer> expected) {
    StoredWeight weight = known.get(name);
    if (weight == null) {
      weight = detect(name, expected);
      if (weight != null) {
        known.put(name, weight);
      }
    }
    return weight;
  }

  private @Nullable StoredWeight detect(String name, List<Integer> expected) {
    Companions near = Companions.of(checkpoint, name);
    TensorInfo tensor = checkpoint.find(name);
    tensor = tensor == null ? near.find("qweight") : tensor;
    tensor = tensor == null ? near.find("weight_packed") : tensor;
    if (tensor == null) {
      return null;
    }
    try {
      return stored(name, tensor, near, expected);
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw StoredWeight.mismatch(tensor, String.valueOf(e.getMessage()));
    }
  }

  private StoredWeight stored(
      String name, TensorInfo tensor, Companions near, List<Integer> expected) {
    if (!tensor.name().equals(name)) {
      return tensor.name().endsWith("qweight")
          ? words.of(tensor, near)
          : compressed.packed(tensor, near, expected);
    }
    return switch (tensor.dtype()) {
      case F32, F16, BF16 -> PlainWeights.floats(tensor);
      case I32, I64 -> PlainWeights.table(tensor);
      case F8_E4M3 -> blocks.fp8(tensor, near);
      case I8 ->
          BlockWeights.isMxfp4(near)
              ? BlockWeights.mxfp4(tensor, near.require("scale", "I8 holds pairs of E2M1"))
              : compressed.bytes(tensor, near);
      default ->
          throw StoredWeight.mismatch(
              tensor,
              "expected F32, F16, BF16, F8_E4M3, I8, I32 or I64, got "
                  + tensor.dtype()
                  + (tensor.dtype() == SafetensorsDtype.U8 ? " (NVFP4 is not supported)" : ""));
    };
  }

  private StoredWeight stored(WeightRef weight) {
    StoredWeight stored = lookUp(weight.name(), weight.shape());
    if (stored == null) {
      throw new ModelConfigException(
          ErrorCode.TENSOR_MISSING,
          "The checkpoint lacks the tensor " + Text.quote(weight.name()),
          "the program needs it",
          "use config.json and weights of the same revision of the model");
    }
    return stored.format() == weight.format() ? stored : Requantized.as(stored, weight.format());
  }

  /**
   * Returns the bytes that a weight has in memory, with scales, zero points and group index; at
   * most: zero points that turn out to be symmetric are dropped.
   */
  public long bytes(WeightRef weight) {
    return stored(weight).bytes();
  }

  /** Returns the bytes of a weight in its files. */
  public long storedBytes(WeightRef weight) {
    return stored(weight).storedBytes();
  }

  /** Returns the tensors that a weight is made of, the one with the elements first. */
  public List<TensorInfo> tensors(WeightRef weight) {
    return stored(weight).tensors();
  }

  /**
   * Describes a stored weight that no program asked for, whatever its shape.
   *
   * @param name of the weight
   * @return how it is stored, or null where it is no vector or matrix that can be read
   */
  public @Nullable WeightRef describe(String name) {
    StoredWeight weight = lookUp(name, List.of());
    if (weight == null || weight.shape().isEmpty() || weight.shape().size() > 2) {
      return null;
    }
    return new WeightRef(
        name, weight.shape().stream().map(Math::toIntExact).toList(), weight.format());
  }

  /** Returns the number of files that hold the weights. */
  public int numFiles(List<WeightRef> weights) {
    Set<Path> files = new HashSet<>();
    weights.forEach(weight -> stored(weight).tensors().forEach(t -> files.add(t.file())));
    return files.size();
  }

  /** Returns the weights in the order of the files and of their bytes: the fastest to read. */
  public List<WeightRef> inFileOrder(List<WeightRef> weights) {
    Map<String, Integer> rank = new HashMap<>();
    checkpoint.tensors().keySet().forEach(name -> rank.put(name, rank.size()));
    Map<WeightRef, Integer> places = new HashMap<>();
    for (WeightRef weight : weights) {
      String first = stored(weight).tensors().getFirst().name();
      places.put(weight, rank.getOrDefault(first, Integer.MAX_VALUE));
    }
    return weights.stream().sorted(Comparator.comparing(places::get)).toList();
  }

  /** Where the bytes of a tensor come from. */
  @FunctionalInterface
  public interface Segments {

    /** Returns the tensor's bytes, valid as long as the arena. */
    MemorySegment of(TensorInfo tensor, Arena arena);
  }

  /**
   * Reads a weight. Words of AWQ, GPTQ and compressed-tensors become row-major; their tensors are
   * in memory only meanwhile.
   *
   * @param arena owns what is allocated
   * @throws dev.fathom.error.CheckpointException if the bytes cannot be read
   * @throws ModelConfigException if they are not what the format allows
   */
  public WeightMatrix read(WeightRef weight, Segments segments, Arena arena) {
    StoredWeight stored = stored(weight);
    try {
      return stored.recipe().read(new StoredWeight.Source(segments, arena));
    } catch (IllegalArgumentException e) {
      throw StoredWeight.mismatch(stored.tensors().getFirst(), String.valueOf(e.getMessage()));
    }
  }
}
