package dev.fathom.engine;

import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import dev.fathom.quant.AwqLayout;
import dev.fathom.quant.GptqLayout;
import dev.fathom.quant.Int4Layout;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.IntegerLayout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Linears of AWQ and GPTQ: {@code X.qweight}, {@code X.qzeros}, {@code X.scales} and perhaps {@code
 * X.g_idx}, told apart by the axis along which they pack. In memory they are row-major.
 */
final class WordWeights {

  private static final List<SafetensorsDtype> WORDS = List.of(SafetensorsDtype.I32);

  private final QuantizationRules rules;

  WordWeights(QuantizationRules rules) {
    this.rules = rules;
  }

  /** The linear of these words. */
  StoredWeight of(TensorInfo words, Companions near) {
    String why = "the tensor " + Text.quote(words.name()) + " needs it";
    Companions.matrix(words, WORDS);
    TensorInfo zeros = Companions.matrix(near.require("qzeros", why), WORDS);
    TensorInfo scales = Companions.matrix(near.require("scales", why), PlainWeights.FLOATS);
    if (words.dim(1) == scales.dim(1)) {
      return gptq(words, zeros, scales, near.find("g_idx"));
    }
    if (words.dim(1) * 8 == scales.dim(1)) {
      return awq(words, zeros, scales);
    }
    throw StoredWeight.mismatch(
        words,
        "expected [in, out/8] (AWQ) or [in/8, out] (GPTQ) for out="
            + scales.dim(1)
            + ", got "
            + PlainWeights.shape(words));
  }

  private StoredWeight awq(TensorInfo words, TensorInfo zeros, TensorInfo scales) {
    rules.requireMethod(words, QuantizationRules.AWQ);
    int rows = Math.toIntExact(scales.dim(1));
    int cols = Math.toIntExact(words.dim(0));
    int groupSize = rules.groupSize(scales, cols, Math.toIntExact(scales.dim(0)));
    AwqLayout layout = new AwqLayout(rows, cols, groupSize, PlainWeights.format(scales));
    Companions.shaped(zeros, layout.zeroShape());
    return repacked(
        layout,
        List.of(words, zeros, scales),
        false,
        source ->
            WeightMatrix.awq(layout, source.of(words), source.of(zeros), source.scales(scales)));
  }

  private StoredWeight gptq(
      TensorInfo words, TensorInfo zeros, TensorInfo scales, @Nullable TensorInfo index) {
    rules.requireMethod(words, QuantizationRules.GPTQ);
    int rows = Math.toIntExact(scales.dim(1));
    int bits = bits(zeros, rows);
    rules.requireBits(words, bits);
    int cols = Math.toIntExact(words.dim(0) * (Integer.SIZE / bits));
    int groupSize = rules.groupSize(scales, cols, Math.toIntExact(scales.dim(0)));
    GptqLayout layout =
        new GptqLayout(
            rows, cols, bits, groupSize, rules.gptqZeros(words), PlainWeights.format(scales));
    Companions.shaped(zeros, layout.zeroShape());
    List<TensorInfo> tensors = new ArrayList<>(List.of(words, zeros, scales));
    if (index != null) {
      Companions.shaped(Companions.typed(index, WORDS), List.of(cols));
      tensors.add(index);
    } else if (layout.groups() > 1) {
      rules.requireNoOrder(words);
    }
    return repacked(
        layout,
        tensors,
        index != null,
        source ->
            WeightMatrix.gptq(
                layout,
                source.of(words),
                source.of(zeros),
                source.scales(scales),
                index == null ? null : source.of(index)));
  }

  private static int bits(TensorInfo zeros, int rows) {
    if (rows == 0) {
      throw StoredWeight.mismatch(zeros, "expected at least one row, got none");
    }
    long bits = zeros.dim(1) * Integer.SIZE / rows;
    if ((bits != 4 && bits != 8) || bits * rows != zeros.dim(1) * Integer.SIZE) {
      throw new ModelConfigException(
          ErrorCode.QUANTIZATION_UNSUPPORTED,
          "The tensor " + Text.quote(zeros.name()) + " cannot be read",
          "expected zero points of 4 or 8 bits for "
              + rows
              + " rows, got "
              + zeros.dim(1)
              + " words",
          "use a checkpoint with 4 or 8 bits");
    }
    return (int) bits;
  }

  /** A linear whose words become row-major integers when it is read. */
  static StoredWeight repacked(
      IntegerLayout words, List<TensorInfo> tensors, boolean indexed, StoredWeight.Recipe recipe) {
    boolean four = words.bits() == 4;
    IntegerLayout memory =
        four
            ? new Int4Layout(words.rows(), words.cols(), words.groupSize(), words.scaleFormat())
            : new Int8Layout(words.rows(), words.cols(), words.groupSize(), words.scaleFormat());
    long bytes = memory.weightBytes() + memory.scaleBytes() + memory.zeroBytes();
    return new StoredWeight(
        List.of((long) words.rows(), (long) words.cols()),
        four ? WeightFormat.INT4 : WeightFormat.INT8,
        List.copyOf(tensors),
        bytes + (indexed ? memory.groupIndexBytes() : 0),
        source -> source.repacked(recipe));
  }
}
