package dev.fathom.quantization;

import dev.fathom.arch.WeightRole;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.GroupSize;
import dev.fathom.quant.ZeroPoints;
import dev.fathom.quantization.QuantizationRecipe.Layout;
import dev.fathom.quantization.QuantizationRecipe.Method;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Decides for each tensor of the source what becomes of it. Shards of the target are those of the
 * source; the tensors of a weight go where its first one was.
 */
final class TargetPlan {

  /**
   * What becomes of a weight or tensor.
   *
   * @param weight of the program, or null for a tensor that is copied as it is
   * @param form how it is written, or null where it is copied
   * @param sources tensors of the source that it is made of; the first names a copied one
   */
  record Item(@Nullable WeightRef weight, @Nullable TargetForm form, List<TensorInfo> sources) {

    /** The tensors that are written. */
    List<TensorSpec> tensors() {
      return weight == null || form == null
          ? List.of(TensorSpec.of(sources.getFirst()))
          : form.tensors(weight.name());
    }

    long sourceBytes() {
      return sources.stream().mapToLong(TensorInfo::byteLength).sum();
    }
  }

  private final Checkpoint checkpoint;
  private final CheckpointWeights catalog;
  private final QuantizationRecipe recipe;
  private final SourceModel model;
  private final List<WeightRef> quantized = new ArrayList<>();
  private final List<WeightRef> kept = new ArrayList<>();
  private final Map<Integer, List<String>> groups = new TreeMap<>();
  private final boolean awqLayout;

  TargetPlan(
      Checkpoint checkpoint,
      CheckpointWeights catalog,
      QuantizationRecipe recipe,
      SourceModel model) {
    this.checkpoint = checkpoint;
    this.catalog = catalog;
    this.recipe = recipe;
    this.model = model;
    this.awqLayout = usesAwqLayout();
    for (WeightRef weight : model.weights()) {
      if (isQuantized(weight)) {
        quantized.add(weight);
        int group = groupSize(weight);
        groups.computeIfAbsent(group, size -> new ArrayList<>()).add(weight.linearName());
      } else if (model.isMatrix(weight)) {
        kept.add(weight);
      }
    }
  }

  private boolean usesAwqLayout() {
    if (recipe.layout() != Layout.AUTO || recipe.method() != Method.AWQ) {
      return recipe.layout() == Layout.AWQ;
    }
    return recipe.zeroPoints() == ZeroPoints.ASYMMETRIC
        && model.weights().stream()
            .filter(this::isWanted)
            .allMatch(
                weight -> TargetForm.Awq.fits(weight.rows(), weight.cols(), recipe.groupSize()));
  }

  /** Whether the recipe wants a weight quantized, whatever the layout can hold. */
  private boolean isWanted(WeightRef weight) {
    boolean candidate =
        (model.role(weight) == WeightRole.LINEAR && !weight.isVector())
            || (recipe.quantizesHead() && model.isOwnHead(weight));
    return candidate
        && recipe.keep().stream()
            .noneMatch(pattern -> NamePattern.matches(pattern, weight.linearName()));
  }

  /** Whether a weight will be quantized. */
  boolean isQuantized(WeightRef weight) {
    return isWanted(weight)
        && (!awqLayout || TargetForm.Awq.fits(weight.rows(), weight.cols(), recipe.groupSize()));
  }

  private int groupSize(WeightRef weight) {
    boolean whole = recipe.groupSize() == QuantizationRecipe.PER_CHANNEL;
    return whole ? weight.cols() : GroupSize.fit(recipe.groupSize(), weight.cols());
  }

  /** Whether tensors get the names and packing of AWQ. */
  boolean awqLayout() {
    return awqLayout;
  }

  /** The weights that will be quantized. */
  List<WeightRef> quantized() {
    return quantized;
  }

  /** The matrices that stay unquantized, embeddings left out. */
  List<WeightRef> kept() {
    return kept;
  }

  /** The linears that stay unquantized: what the recipe keeps and the layout cannot hold. */
  List<WeightRef> keptLinears() {
    return kept.stream().filter(weight -> model.role(weight) == WeightRole.LINEAR).toList();
  }

  /** Names of quantized linears by the columns of a group. */
  Map<Integer, List<String>> groups() {
    return groups;
  }

  /** Everything that is written, shard by shard. */
  List<List<Item>> shards(Factors factors) {
    Map<String, WeightRef> byTensor = new LinkedHashMap<>();
    Set<String> companions = new HashSet<>();
    for (WeightRef weight : model.weights()) {
      List<TensorInfo> tensors = catalog.tensors(weight);
      byTensor.put(tensors.getFirst().name(), weight);
      tensors.stream().skip(1).forEach(tensor -> companions.add(tensor.name()));
    }
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      if (isForeignPacked(tensor, byTensor)) {
        WeightRef weight = catalog.describe(tensor.name());
        if (weight != null) {
          byTensor.put(tensor.name(), weight);
          catalog.tensors(weight).stream().skip(1).forEach(t -> companions.add(t.name()));
        }
      }
    }
    Map<Path, List<Item>> shards = new LinkedHashMap<>();
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      if (!companions.contains(tensor.name())) {
        Item item = item(tensor, byTensor.get(tensor.name()), factors);
        shards.computeIfAbsent(tensor.file(), file -> new ArrayList<>()).add(item);
      }
    }
    return List.copyOf(shards.values());
  }

  /** Packed weights of no program, such as those of prediction layers. */
  private static boolean isForeignPacked(TensorInfo tensor, Map<String, WeightRef> known) {
    boolean packed =
        tensor.dtype() == SafetensorsDtype.F8_E4M3 || tensor.dtype() == SafetensorsDtype.I8;
    return packed && tensor.rank() == 2 && !known.containsKey(tensor.name());
  }

  private Item item(TensorInfo tensor, @Nullable WeightRef weight, Factors factors) {
    if (weight == null) {
      return new Item(null, null, List.of(tensor));
    }
    TargetForm form = form(weight, tensor, factors);
    return form == null
        ? new Item(null, null, List.of(tensor))
        : new Item(weight, form, catalog.tensors(weight));
  }

  private static boolean isPlain(TensorInfo tensor) {
    return switch (tensor.dtype()) {
      case F32, F16, BF16, F64, I64, I32, I16, BOOL -> true;
      default -> false;
    };
  }

  /** How a weight is written, or null where its one tensor is copied. */
  private @Nullable TargetForm form(WeightRef weight, TensorInfo tensor, Factors factors) {
    if (model.knows(weight) && isQuantized(weight)) {
      return packed(weight);
    }
    if (!isPlain(tensor)) {
      return new TargetForm.Floats(longs(weight.shape()), SafetensorsDtype.BF16);
    }
    if (!factors.change(weight.name())) {
      return null;
    }
    boolean same = factors.areExact(weight.name());
    return new TargetForm.Floats(
        longs(weight.shape()), same ? tensor.dtype() : SafetensorsDtype.F32);
  }

  private static List<Long> longs(List<Integer> shape) {
    return shape.stream().map(Integer::longValue).toList();
  }

  private TargetForm packed(WeightRef weight) {
    int rows = weight.rows();
    int cols = weight.cols();
    return switch (recipe.method()) {
      case FP8 -> new TargetForm.Fp8(rows, cols);
      case INT8, INT4, AWQ ->
          awqLayout
              ? new TargetForm.Awq(rows, cols, recipe.groupSize())
              : new TargetForm.Packed(
                  rows, cols, recipe.bits(), groupSize(weight), recipe.zeroPoints());
    };
  }

  /** What a user should know about the plan. */
  List<String> notes() {
    List<String> notes = new ArrayList<>();
    if (recipe.groupSize() != QuantizationRecipe.PER_CHANNEL && !awqLayout) {
      groups.forEach((size, names) -> {
        if (size != recipe.groupSize()) {
          notes.add(
              names.size()
                  + " linears have groups of "
                  + size
                  + ", which divides their columns: "
                  + names.getFirst()
                  + (names.size() > 1 ? ", ..." : ""));
        }
      });
    }
    List<String> unfit =
        model.weights().stream()
            .filter(weight -> isWanted(weight) && !isQuantized(weight))
            .map(WeightRef::linearName)
            .toList();
    if (!unfit.isEmpty()) {
      notes.add(
          unfit.size()
              + " linears stay unquantized, AWQ's layout cannot hold them: "
              + unfit.getFirst()
              + (unfit.size() > 1 ? ", ..." : ""));
    }
    return notes;
  }
}
