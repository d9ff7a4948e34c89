package dev.fathom.golden;

import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Tensors of a safetensors file, read by twenty lines that trust the file: the tests of models must
 * not depend on the reader that they help to prove.
 */
public final class TestTensors {

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * A tensor.
   *
   * @param dtype as the file writes it
   * @param shape its dimensions
   * @param data its bytes
   */
  public record Tensor(String dtype, List<Long> shape, MemorySegment data) {

    /** Returns float32 elements. */
    public float[] floats() {
      return data.toArray(FLOAT);
    }

    /** Returns int64 elements as float32, which holds ids below 2^24 exactly. */
    MemorySegment longsAsFloats() {
      long[] source = data.toArray(LONG);
      MemorySegment out = Arena.ofAuto().allocate(4L * source.length, 4);
      for (int i = 0; i < source.length; i++) {
        out.setAtIndex(FLOAT, i, (float) source[i]);
      }
      return out;
    }

    /** Returns exponent bytes as the float32 powers of two that they mean. */
    MemorySegment exponentsAsFloats() {
      MemorySegment out = Arena.ofAuto().allocate(4 * data.byteSize(), 4);
      for (long i = 0; i < data.byteSize(); i++) {
        int exponent = data.get(ValueLayout.JAVA_BYTE, i) & 0xff;
        out.setAtIndex(FLOAT, i, (float) Math.pow(2, exponent - 127));
      }
      return out;
    }

    /** Returns int32 elements. */
    public int[] ints() {
      return data.toArray(INT);
    }
  }

  private final Map<String, Tensor> byName = new LinkedHashMap<>();

  /** Adds all tensors of a file. */
  void add(byte[] file) {
    ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    int headerLen = Math.toIntExact(bytes.getLong(0));
    JsonObject header = (JsonObject) Json.parse(bytes.slice(8, headerLen), JsonLimits.HEADER);
    MemorySegment data = Arena.ofAuto().allocate(file.length - 8L - headerLen, 8);
    MemorySegment.copy(
        file, 8 + headerLen, data, ValueLayout.JAVA_BYTE, 0, file.length - 8 - headerLen);
    header
        .fields()
        .forEach((name, value) -> {
          JsonObject entry = (JsonObject) value;
          String dtype = entry.string("dtype");
          if (dtype != null) {
            List<Long> at = longs(entry.get("data_offsets"));
            MemorySegment part = data.asSlice(at.get(0), at.get(1) - at.get(0));
            byName.put(name, new Tensor(dtype, longs(entry.get("shape")), part));
          }
        });
  }

  /** Gives a tensor a further name. */
  void alias(String alias, String name) {
    byName.put(alias, get(name));
  }

  static List<Long> longs(@Nullable JsonValue array) {
    List<Long> out = new ArrayList<>();
    for (JsonValue value : (JsonArray) array) {
      out.add(((JsonNumber) value).longValueExact());
    }
    return out;
  }

  /** Returns all tensors by name, in the order of the file. */
  Map<String, Tensor> all() {
    return byName;
  }

  /** Returns a tensor or null. */
  @Nullable Tensor find(String name) {
    return byName.get(name);
  }

  /** Returns a tensor that is there. */
  public Tensor get(String name) {
    Tensor tensor = byName.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("no tensor " + name);
    }
    return tensor;
  }
}
