package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonReader;
import dev.fathom.json.JsonToken;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Parses the JSON header of a safetensors file, trusting nothing in it.
 *
 * <p>The rules are those of the format's README, and stricter where readers differ: names must not
 * repeat after unescaping, a tensor has exactly the three known keys, dimensions and their product
 * are at most 2^48, rank is at most 8, names have 1 to 1024 bytes without control characters, a
 * file has at most a million tensors. The tensors, sorted by offset, must tile the data without
 * hole or overlap and end where the file does.
 */
final class SafetensorsHeader {
  /** Largest header in bytes: decimal, as in the reference implementation. */
  static final long MAX_BYTES = 100_000_000;

  /** Most tensors of one file. */
  static final int MAX_TENSORS = 1_000_000;

  /** Longest tensor name in UTF-8 bytes. */
  static final int MAX_NAME_BYTES = 1024;

  private static final String METADATA = "__metadata__";
  private static final String FIX =
      "download the file again, or write it again with a current safetensors library";

  private final Path file;
  private final JsonReader reader;
  private final long dataOffset;
  private final long dataLength;
  private final HashMap<String, TensorInfo> byName = new HashMap<>();
  private final List<TensorInfo> tensors = new ArrayList<>();
  private Map<String, String> metadata = Map.of();
  private boolean metadataSeen;
  private SafetensorsDtype lastDtype = SafetensorsDtype.BF16;

  private SafetensorsHeader(Path file, byte[] header, long dataOffset, long dataLength) {
    this.file = file;
    this.reader = new JsonReader(header, 0, header.length, JsonLimits.HEADER);
    this.dataOffset = dataOffset;
    this.dataLength = dataLength;
  }

  /**
   * Parses a header.
   *
   * @param file named in tensors and errors
   * @param header its JSON bytes
   * @param fileLength of the whole file in bytes, at least 8 + the header's length
   * @throws CheckpointException if a rule is broken
   */
  static SafetensorsFile parse(Path file, byte[] header, long fileLength) {
    long dataOffset = Long.BYTES + (long) header.length;
    SafetensorsHeader parser =
        new SafetensorsHeader(file, header, dataOffset, fileLength - dataOffset);
    try {
      parser.document();
    } catch (JsonException e) {
      throw fail(
          file,
          ErrorCode.SAFETENSORS_HEADER_JSON,
          "the header must be JSON, but " + e.rule() + ": offset=" + e.offset());
    }
    return new SafetensorsFile(
        file, fileLength, dataOffset, parser.sortedTensors(), parser.metadata);
  }

  /** The exception for a broken rule of the format. */
  static CheckpointException fail(Path file, ErrorCode code, String why) {
    return new CheckpointException(
        code, "The safetensors file " + Text.quote(file.toString()) + " is not usable", why, FIX);
  }

  private CheckpointException fail(ErrorCode code, String why) {
    return fail(file, code, why);
  }

  private void document() {
    if (reader.next() != JsonToken.BEGIN_OBJECT) {
      reader.skipValue();
      reader.next();
      throw fail(ErrorCode.SAFETENSORS_HEADER_FIELD, "the header must be a JSON object");
    }
    while (reader.next() == JsonToken.NAME) {
      if (reader.rawLength() > MAX_NAME_BYTES * 6) {
        throw nameTooLong();
      }
      String name = reader.text();
      if (name.equals(METADATA)) {
        metadata();
      } else {
        tensor(name);
      }
    }
    reader.next();
  }

  private void metadata() {
    if (metadataSeen) {
      throw fail(
          ErrorCode.SAFETENSORS_DUPLICATE,
          "a name must not occur twice in the header: name=" + Text.quote(METADATA));
    }
    metadataSeen = true;
    JsonToken token = reader.next();
    if (token == JsonToken.NULL) {
      return;
    }
    if (token != JsonToken.BEGIN_OBJECT) {
      throw fail(
          ErrorCode.SAFETENSORS_METADATA, "__metadata__ must be an object of strings or null");
    }
    LinkedHashMap<String, String> entries = new LinkedHashMap<>();
    while (reader.next() == JsonToken.NAME) {
      String key = reader.text();
      if (reader.next() != JsonToken.STRING) {
        throw fail(
            ErrorCode.SAFETENSORS_METADATA,
            "__metadata__ must hold strings only: key=" + Text.quote(key));
      }
      if (entries.put(key, reader.text()) != null) {
        throw fail(
            ErrorCode.SAFETENSORS_DUPLICATE,
            "a key must not occur twice in __metadata__: key=" + Text.quote(key));
      }
    }
    metadata = java.util.Collections.unmodifiableMap(entries);
  }

  private void tensor(String name) {
    checkName(name);
    if (tensors.size() == MAX_TENSORS) {
      throw fail(
          ErrorCode.SAFETENSORS_TOO_MANY_TENSORS,
          "a file must have at most " + MAX_TENSORS + " tensors");
    }
    TensorInfo tensor = new TensorFields(name).read();
    if (byName.put(name, tensor) != null) {
      throw fail(
          ErrorCode.SAFETENSORS_DUPLICATE,
          "a name must not occur twice in the header: name=" + Text.quote(name));
    }
    tensors.add(tensor);
  }

  private void checkName(String name) {
    if (name.isEmpty()) {
      throw fail(ErrorCode.SAFETENSORS_NAME, "a tensor name must not be empty");
    }
    int numBytes = reader.isPlain() ? name.length() : name.getBytes(StandardCharsets.UTF_8).length;
    if (numBytes > MAX_NAME_BYTES) {
      throw nameTooLong();
    }
    if (hasControl(name)) {
      throw fail(
          ErrorCode.SAFETENSORS_NAME,
          "a tensor name must not have control characters: name=" + Text.quote(name));
    }
  }

  /** A plain string can only hold one, since JSON has the others escaped: delete. */
  private boolean hasControl(String name) {
    return reader.isPlain()
        ? name.indexOf(0x7F) >= 0
        : name.chars().anyMatch(Character::isISOControl);
  }

  private CheckpointException nameTooLong() {
    return fail(
        ErrorCode.SAFETENSORS_NAME,
        "a tensor name must have at most " + MAX_NAME_BYTES + " bytes: offset=" + reader.offset());
  }

  private boolean isSorted() {
    long last = 0;
    for (TensorInfo tensor : tensors) {
      if (tensor.offset() < last) {
        return false;
      }
      last = tensor.offset() + tensor.byteLength();
    }
    return true;
  }

  /** The tensors by offset, after the check that they tile the data. */
  private List<TensorInfo> sortedTensors() {
    if (!isSorted()) {
      tensors.sort(
          Comparator.comparingLong(TensorInfo::offset).thenComparingLong(TensorInfo::byteLength));
    }
    long end = 0;
    for (TensorInfo tensor : tensors) {
      long begin = tensor.offset() - dataOffset;
      if (begin != end) {
        throw fail(
            ErrorCode.SAFETENSORS_TILING,
            (begin < end ? "tensors must not overlap: " : "tensors must not leave a hole: ")
                + ("tensor=" + Text.quote(tensor.name()))
                + (" begin=" + begin + " previous end=" + end));
      }
      end += tensor.byteLength();
    }
    if (end > dataLength) {
      throw fail(
          ErrorCode.SAFETENSORS_TRUNCATED,
          "the file must hold all its tensors: expected bytes="
              + (dataOffset + end)
              + (" actual=" + (dataOffset + dataLength) + " missing=" + (end - dataLength)));
    }
    if (end < dataLength) {
      throw fail(
          ErrorCode.SAFETENSORS_TILING,
          "the file must end where its last tensor does: expected bytes="
              + (dataOffset + end)
              + (" actual=" + (dataOffset + dataLength)));
    }
    return List.copyOf(tensors);
  }

  /** Reads the object of one tensor. */
  private final class TensorFields {
    private final String name;
    private SafetensorsDtype dtype = SafetensorsDtype.U8;
    private long[] shape = {};
    private long begin;
    private long end;
    private int seen;

    TensorFields(String name) {
      this.name = name;
    }

    TensorInfo read() {
      if (reader.next() != JsonToken.BEGIN_OBJECT) {
        throw field("a tensor must be an object");
      }
      while (reader.next() == JsonToken.NAME) {
        if (reader.textEquals("dtype")) {
          dtype(mark("dtype", 1));
        } else if (reader.textEquals("shape")) {
          shape(mark("shape", 2));
        } else if (reader.textEquals("data_offsets")) {
          offsets(mark("data_offsets", 4));
        } else {
          throw unknownKey();
        }
      }
      if (seen != 7) {
        throw field(
            "a tensor must have "
                + ((seen & 1) == 0 ? "dtype" : (seen & 2) == 0 ? "shape" : "data_offsets"));
      }
      checkSize();
      return new TensorInfo(name, dtype, shape, file, dataOffset + begin, end - begin);
    }

    private CheckpointException unknownKey() {
      String key = reader.rawLength() <= 1200 ? reader.text() : "";
      return field(
          "a tensor must have no key but dtype, shape and data_offsets: key="
              + Text.quote(key)
              + ",");
    }

    private String mark(String key, int bit) {
      if ((seen & bit) != 0) {
        throw broken(
            ErrorCode.SAFETENSORS_DUPLICATE,
            "a key must not occur twice in a tensor: key=" + Text.quote(key) + ",");
      }
      seen |= bit;
      return key;
    }

    private void dtype(String key) {
      if (reader.next() != JsonToken.STRING) {
        throw field(key + " must be a string");
      }
      if (reader.textEquals(lastDtype.name())) {
        dtype = lastDtype;
        return;
      }
      String spelled = reader.text();
      SafetensorsDtype known = SafetensorsDtype.named(spelled);
      if (known == null) {
        throw broken(
            ErrorCode.SAFETENSORS_DTYPE,
            "dtype must be one of "
                + Arrays.toString(SafetensorsDtype.values())
                + (": dtype=" + Text.quote(spelled) + ","));
      }
      lastDtype = known;
      dtype = known;
    }

    private void shape(String key) {
      long[] dims = new long[TensorShape.MAX_RANK];
      int rank = numbers(key, dims);
      if (rank > TensorShape.MAX_RANK) {
        throw broken(
            ErrorCode.SAFETENSORS_SHAPE,
            "a shape must have at most " + TensorShape.MAX_RANK + " dimensions:");
      }
      shape = Arrays.copyOf(dims, rank);
    }

    private void offsets(String key) {
      long[] range = new long[2];
      if (numbers(key, range) != 2) {
        throw field("data_offsets must be two integers");
      }
      begin = range[0];
      end = range[1];
    }

    /** Reads an array of non-negative integers; returns how many, or one too many. */
    private int numbers(String key, long[] into) {
      if (reader.next() != JsonToken.BEGIN_ARRAY) {
        throw field(key + " must be an array");
      }
      int count = 0;
      while (reader.next() != JsonToken.END_ARRAY) {
        long value = reader.unsignedValue();
        if (value < 0) {
          throw field(key + " must hold integers from 0 to 2^63 - 1, written in digits");
        }
        if (count == into.length) {
          return count + 1;
        }
        into[count++] = value;
      }
      return count;
    }

    private void checkSize() {
      long numElements = TensorShape.numElements(shape);
      if (numElements < 0) {
        throw broken(
            ErrorCode.SAFETENSORS_SHAPE,
            "dimensions and their product must be at most 2^48: shape="
                + Arrays.toString(shape)
                + ",");
      }
      long numBits = numElements * dtype.bits();
      if ((numBits & 7) != 0) {
        throw broken(
            ErrorCode.SAFETENSORS_SHAPE,
            "a tensor must have a whole number of bytes: dtype="
                + dtype
                + (" shape=" + Arrays.toString(shape) + ","));
      }
      if (end < begin || end > Long.MAX_VALUE - dataOffset) {
        throw broken(
            ErrorCode.SAFETENSORS_OFFSETS,
            "data_offsets must be ordered: begin=" + begin + " end=" + end + ",");
      }
      if (end - begin != numBits >>> 3) {
        throw broken(
            ErrorCode.SAFETENSORS_OFFSETS,
            "data_offsets must span the bytes of dtype and shape: expected bytes="
                + ((numBits >>> 3) + " actual=" + (end - begin) + ","));
      }
    }

    private CheckpointException field(String rule) {
      return broken(ErrorCode.SAFETENSORS_HEADER_FIELD, rule + (rule.endsWith(",") ? "" : ":"));
    }

    private CheckpointException broken(ErrorCode code, String rule) {
      return fail(code, rule + " tensor=" + Text.quote(name));
    }
  }
}
