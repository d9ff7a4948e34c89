package dev.fathom.engine;

import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;

/** Weights of one tensor: floats, which stay as they are, and tables of small integers. */
final class PlainWeights {

  /** Types of scales that are floats. */
  static final List<SafetensorsDtype> FLOATS =
      List.of(SafetensorsDtype.F32, SafetensorsDtype.F16, SafetensorsDtype.BF16);

  /** Integers below this are exact as float32. */
  private static final long MAX_EXACT = 1 << 24;

  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private PlainWeights() {}

  /** Floats of 16 or 32 bits. */
  static StoredWeight floats(TensorInfo tensor) {
    WeightFormat format = format(tensor);
    return new StoredWeight(
        shape(tensor),
        format,
        List.of(tensor),
        tensor.byteLength(),
        source -> WeightMatrix.dense(format, rows(tensor), cols(tensor), source.of(tensor)));
  }

  /** Integers of 32 or 64 bits as float32, such as V4's table from tokens to experts. */
  static StoredWeight table(TensorInfo tensor) {
    return new StoredWeight(
        shape(tensor),
        WeightFormat.F32,
        List.of(tensor),
        Math.multiplyExact(tensor.numElements(), Float.BYTES),
        source -> {
          MemorySegment floats = source.allocate(tensor.numElements() * Float.BYTES);
          MemorySegment integers = source.of(tensor);
          for (long i = 0; i < tensor.numElements(); i++) {
            floats.set(FLOAT, i * Float.BYTES, exact(tensor, i, integers));
          }
          return WeightMatrix.dense(WeightFormat.F32, rows(tensor), cols(tensor), floats);
        });
  }

  private static float exact(TensorInfo tensor, long i, MemorySegment integers) {
    long value = integer(tensor, i, integers);
    if (value < 0 || value >= MAX_EXACT) {
      throw StoredWeight.mismatch(
          tensor, "expected integers in [0, 16777216), got element " + i + " = " + value);
    }
    return value;
  }

  /** Returns element i of a tensor of integers. */
  static long integer(TensorInfo tensor, long i, MemorySegment integers) {
    return tensor.dtype() == SafetensorsDtype.I64
        ? integers.get(LONG, i * Long.BYTES)
        : integers.get(INT, i * Integer.BYTES);
  }

  /** Returns the format of a tensor of floats. */
  static WeightFormat format(TensorInfo tensor) {
    return switch (tensor.dtype()) {
      case F32 -> WeightFormat.F32;
      case F16 -> WeightFormat.F16;
      case BF16 -> WeightFormat.BF16;
      default -> throw StoredWeight.mismatch(tensor, "expected floats, got " + tensor.dtype());
    };
  }

  static List<Long> shape(TensorInfo tensor) {
    return switch (tensor.rank()) {
      case 1 -> List.of(tensor.dim(0));
      case 2 -> List.of(tensor.dim(0), tensor.dim(1));
      default -> Arrays.stream(tensor.shape()).boxed().toList();
    };
  }

  /** Copies scales of any type of floats to float32. */
  static MemorySegment toFloats(TensorInfo tensor, StoredWeight.Source source) {
    if (tensor.dtype() == SafetensorsDtype.F32) {
      return source.scales(tensor);
    }
    int len = Math.toIntExact(tensor.numElements());
    float[] values = new float[len];
    WeightMatrix.dense(format(tensor), 1, len, source.scales(tensor)).decodeRow(0, values, 0);
    MemorySegment floats = source.allocate((long) len * Float.BYTES);
    MemorySegment.copy(values, 0, floats, FLOAT, 0, len);
    return floats;
  }

  /** Returns n copies of the only scale of a tensor of floats. */
  static MemorySegment repeated(TensorInfo tensor, int n, StoredWeight.Source source) {
    MemorySegment one = source.scales(tensor);
    MemorySegment all = source.allocate(n * one.byteSize());
    for (int i = 0; i < n; i++) {
      MemorySegment.copy(one, 0, all, i * one.byteSize(), one.byteSize());
    }
    return all;
  }

  private static int rows(TensorInfo tensor) {
    return tensor.rank() == 2 ? Math.toIntExact(tensor.dim(0)) : 1;
  }

  private static int cols(TensorInfo tensor) {
    return Math.toIntExact(tensor.numElements() / rows(tensor));
  }
}
