package dev.fathom.engine;

import static dev.fathom.checkpoint.SafetensorsDtype.BF16;
import static dev.fathom.checkpoint.SafetensorsDtype.F16;
import static dev.fathom.checkpoint.SafetensorsDtype.F32;
import static dev.fathom.checkpoint.SafetensorsDtype.F8_E8M0;
import static dev.fathom.checkpoint.SafetensorsDtype.U8;

import dev.fathom.checkpoint.QuantizationConfig;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.E8m0;
import dev.fathom.quant.Mxfp4Layout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Small floats with scales beside them.
 *
 * <pre>
 *   X.weight F8_E4M3 [out, in]     X.weight_scale_inv or X.scale, a multiplier for each block
 *   X.weight F8_E4M3 [out, in]     X.weight_scale, one multiplier, one for each row or block
 *   X.weight I8 [out, in/2]        X.scale F8_E8M0 [out, in/32]: pairs of E2M1
 *   X.weight_packed U8 [out, in/2] X.weight_scale U8 [out, in/32]: the same
 * </pre>
 */
final class BlockWeights {

  private static final List<SafetensorsDtype> SCALES = List.of(F32, F8_E8M0, BF16, F16);

  private final @Nullable QuantizationConfig config;
  private final QuantizationRules rules;

  BlockWeights(@Nullable QuantizationConfig config, QuantizationRules rules) {
    this.config = config;
    this.rules = rules;
  }

  /** E4M3 elements. */
  StoredWeight fp8(TensorInfo tensor, Companions near) {
    Companions.matrix(tensor, List.of(SafetensorsDtype.F8_E4M3));
    TensorInfo blocks = near.find("weight_scale_inv");
    blocks = blocks == null ? near.find("scale") : blocks;
    TensorInfo scales = blocks == null ? near.find("weight_scale") : blocks;
    if (scales == null) {
      scales =
          near.require(
              "weight_scale_inv", "a tensor of type F8_E4M3 needs the scales of its blocks");
    }
    Companions.typed(scales, SCALES);
    int rows = Math.toIntExact(tensor.dim(0));
    int cols = Math.toIntExact(tensor.dim(1));
    BlockScaleLayout layout =
        blocks == null ? free(scales, rows, cols) : blocks(scales, rows, cols);
    return stored(layout, tensor, scales);
  }

  private static StoredWeight stored(
      BlockScaleLayout layout, TensorInfo tensor, TensorInfo scales) {
    return new StoredWeight(
        PlainWeights.shape(tensor),
        WeightFormat.FP8_E4M3,
        List.of(tensor, scales),
        layout.weightBytes() + layout.scaleBytes(),
        source -> WeightMatrix.blockFp8(layout, source.of(tensor), multipliers(scales, source)));
  }

  private static MemorySegment multipliers(TensorInfo scales, StoredWeight.Source source) {
    if (scales.dtype() != F8_E8M0) {
      return PlainWeights.toFloats(scales, source);
    }
    MemorySegment floats = source.allocate(scales.numElements() * Float.BYTES);
    E8m0.decode(source.scales(scales), floats);
    return floats;
  }

  private BlockScaleLayout blocks(TensorInfo scales, int rows, int cols) {
    if (config == null || !config.hasBlocks()) {
      return derived(scales, rows, cols);
    }
    BlockScaleLayout layout =
        new BlockScaleLayout(rows, cols, config.blockRows(), config.blockCols());
    if (!scales.hasShape(layout.scaleRows(), layout.scaleCols())) {
      throw StoredWeight.mismatch(
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
              + Arrays.toString(scales.shape()));
    }
    return layout;
  }

  /** One multiplier, one for each row or one for each block, as the shape says. */
  private BlockScaleLayout free(TensorInfo scales, int rows, int cols) {
    if (scales.numElements() == 1) {
      return BlockScaleLayout.perTensor(rows, cols);
    }
    if (scales.hasShape(rows) || scales.hasShape(rows, 1)) {
      return BlockScaleLayout.perChannel(rows, cols);
    }
    for (List<Integer> block : rules.blockStructures()) {
      BlockScaleLayout said = new BlockScaleLayout(rows, cols, block.get(0), block.get(1));
      if (scales.hasShape(said.scaleRows(), said.scaleCols())) {
        return said;
      }
    }
    return derived(scales, rows, cols);
  }

  private static BlockScaleLayout derived(TensorInfo scales, int rows, int cols) {
    if (scales.rank() == 2) {
      try {
        int scaleRows = Math.toIntExact(scales.dim(0));
        int scaleCols = Math.toIntExact(scales.dim(1));
        int block = BlockScaleLayout.deriveBlock(rows, cols, scaleRows, scaleCols);
        return BlockScaleLayout.square(rows, cols, block);
      } catch (IllegalArgumentException e) {
        throw StoredWeight.mismatch(scales, String.valueOf(e.getMessage()));
      }
    }
    throw StoredWeight.mismatch(
        scales,
        "expected the scales of ["
            + rows
            + ", "
            + cols
            + "], got shape "
            + Arrays.toString(scales.shape()));
  }

  /** Whether a tensor of bytes holds pairs of E2M1. */
  static boolean isMxfp4(Companions near) {
    TensorInfo scales = near.find("scale");
    return scales != null && scales.dtype() == F8_E8M0;
  }

  /** Pairs of E2M1. */
  static StoredWeight mxfp4(TensorInfo tensor, TensorInfo scales) {
    Companions.matrix(tensor, List.of(SafetensorsDtype.I8, U8));
    Companions.matrix(scales, List.of(F8_E8M0, U8));
    int cols = Math.toIntExact(2 * tensor.dim(1));
    Mxfp4Layout layout = new Mxfp4Layout(Math.toIntExact(tensor.dim(0)), cols);
    Companions.shaped(scales, layout.scaleShape());
    return new StoredWeight(
        List.of(tensor.dim(0), (long) cols),
        WeightFormat.MXFP4,
        List.of(tensor, scales),
        layout.weightBytes() + layout.scaleBytes(),
        source -> WeightMatrix.mxfp4(layout, source.of(tensor), source.scales(scales)));
  }
}
