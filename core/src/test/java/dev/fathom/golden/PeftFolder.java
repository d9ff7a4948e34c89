package dev.fathom.golden;

import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.SafetensorsWriter;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.program.WeightRef;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * A random LoRA adapter as PEFT writes it, and the weights that it means.
 *
 * <p>Factors are multiples of 1/256 up to 1/4, so that F32, F16 and BF16 hold them exactly.
 */
public final class PeftFolder {

  private final Map<String, Factors> factors = new LinkedHashMap<>();
  private final double scale;

  private record Factors(int rank, float[] a, float[] b) {}

  /**
   * Writes an adapter.
   *
   * @param folder made if it is not there
   * @param linears module names with their matrices
   * @param rank of all
   * @param alpha of all
   * @param ending of tensor names, such as {@code weight} or {@code default.weight}
   * @param dtype F32, F16 or BF16
   */
  public PeftFolder(
      Path folder,
      Map<String, WeightRef> linears,
      int rank,
      double alpha,
      String ending,
      SafetensorsDtype dtype) {
    Random random = new Random(rank * 31L + linears.size());
    Map<TensorSpec, byte[]> tensors = new LinkedHashMap<>();
    this.scale = alpha / rank;
    linears.forEach((module, weight) -> {
      Factors f =
          new Factors(
              rank, random(random, rank * weight.cols()), random(random, rank * weight.rows()));
      factors.put(weight.name(), f);
      String at = "base_model.model." + module;
      tensors.put(
          TensorSpec.of(at + ".lora_A." + ending, dtype, rank, weight.cols()), bytes(f.a(), dtype));
      tensors.put(
          TensorSpec.of(at + ".lora_B." + ending, dtype, weight.rows(), rank), bytes(f.b(), dtype));
    });
    config(folder, "\"peft_type\":\"LORA\",\"r\":" + rank + ",\"lora_alpha\":" + alpha);
    write(folder, tensors);
  }

  /** Writes the tensors of an adapter. */
  public static void write(Path folder, Map<TensorSpec, byte[]> tensors) {
    SafetensorsWriter.write(
        folder.resolve("adapter_model.safetensors"),
        List.copyOf(tensors.keySet()),
        SafetensorsWriter.PYTORCH,
        (spec, sink) -> sink.write(MemorySegment.ofArray(tensors.get(spec))));
  }

  /** Writes adapter_config.json with these entries. */
  public static void config(Path folder, String entries) {
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve("adapter_config.json"), "{" + entries + "}");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static float[] random(Random random, int len) {
    float[] values = new float[len];
    for (int i = 0; i < len; i++) {
      values[i] = (random.nextInt(129) - 64) / 256f;
    }
    return values;
  }

  /** Little-endian bytes of values that the type holds exactly. */
  public static byte[] bytes(float[] values, SafetensorsDtype dtype) {
    int size = dtype == SafetensorsDtype.F32 ? 4 : 2;
    ByteBuffer out = ByteBuffer.allocate(values.length * size).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      switch (dtype) {
        case F32 -> out.putFloat(value);
        case BF16 -> out.putShort((short) (Float.floatToIntBits(value) >>> 16));
        case F16 -> out.putShort(Float.floatToFloat16(value));
        default -> throw new IllegalArgumentException("no type of factors: " + dtype);
      }
    }
    return out.array();
  }

  /** Adds what the adapter adds to a weight [rows, cols]; does nothing where it is not adapted. */
  void merge(WeightRef weight, float[] values) {
    Factors f = factors.get(weight.name());
    if (f == null) {
      return;
    }
    for (int r = 0; r < weight.rows(); r++) {
      for (int c = 0; c < weight.cols(); c++) {
        double sum = 0;
        for (int k = 0; k < f.rank(); k++) {
          sum += (double) f.b()[r * f.rank() + k] * f.a()[k * weight.cols() + c];
        }
        values[r * weight.cols() + c] += (float) (scale * sum);
      }
    }
  }
}
