package dev.fathom.engine;

import dev.fathom.backend.Adapter;
import dev.fathom.checkpoint.CheckpointReader;
import dev.fathom.checkpoint.PeftCheckpoint;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import dev.fathom.program.Linears;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Brings the tensors of a PEFT adapter to the linears of a program.
 *
 * <p>A tensor is named {@code base_model.model.MODULE.lora_A.weight} (or {@code
 * .lora_A.ADAPTER.weight}), A is [rank, in], B is [out, rank], in F32, F16 or BF16; in memory both
 * are float32. Everything is checked against the header before a byte is read.
 */
public final class PeftAdapter {

  private static final String PREFIX = "base_model.model.";
  private static final String A = ".lora_A.";
  private static final String B = ".lora_B.";
  private static final String WEIGHT = "weight";

  private final PeftCheckpoint checkpoint;
  private final Map<String, Factors> factors = new LinkedHashMap<>();
  private long bytes;

  /** The two tensors of a linear. */
  private static final class Factors {
    private @Nullable TensorInfo a;
    private @Nullable TensorInfo b;

    private TensorInfo a() {
      return Objects.requireNonNull(a);
    }

    private TensorInfo b() {
      return Objects.requireNonNull(b);
    }
  }

  /**
   * Looks at an adapter.
   *
   * @throws ModelConfigException if a tensor belongs to no linear of the program, has another shape
   *     or type, or lacks its partner
   */
  public PeftAdapter(PeftCheckpoint checkpoint, Linears linears) {
    this.checkpoint = checkpoint;
    for (TensorInfo tensor : checkpoint.file().tensors()) {
      add(tensor, linears);
    }
    if (factors.isEmpty()) {
      throw invalid("it has no tensors", "give the folder of a trained adapter");
    }
    factors.forEach((linear, pair) -> check(linear, pair, linears));
  }

  private void add(TensorInfo tensor, Linears linears) {
    String name = tensor.name();
    int a = name.lastIndexOf(A);
    int at = Math.max(a, name.lastIndexOf(B));
    boolean isFactor = at > 0 && (name.endsWith("." + WEIGHT));
    if (!isFactor) {
      throw new ModelConfigException(
          ErrorCode.ADAPTER_UNSUPPORTED,
          what(),
          "a tensor is neither lora_A nor lora_B of a linear: " + Text.quote(name),
          "merge the adapter into the model with PEFT's merge_and_unload");
    }
    String module = name.substring(name.startsWith(PREFIX) ? PREFIX.length() : 0, at);
    String linear = linears.canonical(module);
    if (!linears.byName().containsKey(linear)) {
      throw invalid(
          "the model has no linear " + Text.quote(module),
          "use an adapter that was trained for this model");
    }
    Factors pair = factors.computeIfAbsent(linear, l -> new Factors());
    if ((a > 0 ? pair.a : pair.b) != null) {
      throw invalid("two tensors are the same factor: " + Text.quote(name), "save one adapter");
    }
    if (a > 0) {
      pair.a = tensor;
    } else {
      pair.b = tensor;
    }
  }

  private void check(String linear, Factors pair, Linears linears) {
    WeightRef weight = linears.byName().get(linear);
    TensorInfo a = pair.a;
    TensorInfo b = pair.b;
    if (weight == null || a == null || b == null) {
      throw invalid(
          "only one of lora_A and lora_B is there for " + Text.quote(linear),
          "save the adapter again");
    }
    long rank = a.rank() == 2 ? a.dim(0) : 0;
    int wanted = checkpoint.config().rankOf(linear);
    if (rank < 1 || (wanted != 0 && rank != wanted)) {
      throw invalid(
          "expected rank " + wanted + " as in " + "adapter_config.json, got " + a,
          "use the configuration that belongs to the tensors");
    }
    requireShape(a, rank, weight.cols());
    requireShape(b, weight.rows(), rank);
    format(a);
    format(b);
    bytes += Math.multiplyExact(rank * Float.BYTES, weight.rows() + (long) weight.cols());
  }

  private void requireShape(TensorInfo tensor, long rows, long cols) {
    if (!tensor.hasShape(rows, cols)) {
      throw invalid(
          "expected [" + rows + ", " + cols + "], got " + tensor,
          "use an adapter that was trained for this model");
    }
  }

  private WeightFormat format(TensorInfo tensor) {
    return switch (tensor.dtype()) {
      case F32 -> WeightFormat.F32;
      case F16 -> WeightFormat.F16;
      case BF16 -> WeightFormat.BF16;
      default ->
          throw invalid(
              "expected F32, F16 or BF16, got " + tensor, "save it in one of these types");
    };
  }

  private String what() {
    return "The adapter " + Text.quote(checkpoint.folder().toString()) + " cannot be used";
  }

  private ModelConfigException invalid(String why, String fix) {
    return new ModelConfigException(ErrorCode.ADAPTER_INVALID, what(), why, fix);
  }

  /** Returns the bytes that it will have in memory. */
  public long bytes() {
    return bytes;
  }

  /**
   * Reads the factors.
   *
   * @param name of the adapter
   * @throws dev.fathom.error.CheckpointException if the bytes cannot be read
   * @throws ModelConfigException if a factor is not finite
   */
  public Adapter read(String name) {
    Map<String, Adapter.Delta> deltas = new LinkedHashMap<>();
    try (CheckpointReader reader = checkpoint.reader()) {
      factors.forEach((linear, pair) -> {
        int rank = Math.toIntExact(pair.a().dim(0));
        float scale = checkpoint.config().scaleOf(linear, rank);
        float[] a = floats(reader, pair.a());
        float[] b = floats(reader, pair.b());
        deltas.put(linear, new Adapter.Delta(a, b, rank, scale));
      });
    }
    return new Adapter(name, deltas);
  }

  private float[] floats(CheckpointReader reader, TensorInfo tensor) {
    float[] values = new float[Math.toIntExact(tensor.numElements())];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = arena.allocate(tensor.byteLength(), Float.BYTES);
      reader.read(tensor, data);
      WeightMatrix.dense(format(tensor), 1, values.length, data).decodeRow(0, values, 0);
    }
    for (float value : values) {
      if (!Float.isFinite(value)) {
        throw invalid("a value is not finite in " + tensor, "train it again");
      }
    }
    return values;
  }
}
