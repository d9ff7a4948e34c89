package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonReader;
import dev.fathom.json.JsonToken;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * {@code model.safetensors.index.json}: which shard holds which tensor.
 *
 * @param file for messages
 * @param shards by tensor name, in file order
 * @param totalSize {@code metadata.total_size}, -1 if not said. A hint only: the headers, which
 *     must tile their files, are what counts.
 */
record ShardIndex(Path file, Map<String, String> shards, long totalSize) {
  private static final String FIX =
      "download the index and all shards again from the same revision of the model";

  /**
   * Parses an index.
   *
   * @throws CheckpointException if it is not JSON, has the wrong form, or names a shard by anything
   *     but a plain file name
   */
  static ShardIndex parse(Path file, byte[] utf8) {
    try {
      return new Parser(file, utf8).document();
    } catch (JsonException e) {
      throw fail(
          file,
          ErrorCode.INDEX_INVALID,
          "it must be JSON, but " + e.rule() + ": offset=" + e.offset());
    }
  }

  /** Shard names, sorted. */
  List<String> shardNames() {
    return List.copyOf(new java.util.TreeSet<>(shards.values()));
  }

  /** The exception for an index that does not fit. */
  CheckpointException fail(ErrorCode code, String why) {
    return fail(file, code, why);
  }

  private static CheckpointException fail(Path file, ErrorCode code, String why) {
    return new CheckpointException(
        code, "The index " + Text.quote(file.toString()) + " is not usable", why, FIX);
  }

  /**
   * Checks that the shards hold what the index says: every listed tensor in its shard, in one
   * shard, and none that is not listed.
   *
   * @param files the opened shards by name, all that the index names
   * @return the tensors by name, in the order of the shards and of their bytes
   * @throws CheckpointException if they do not
   */
  Map<String, TensorInfo> join(TreeMap<String, SafetensorsFile> files) {
    LinkedHashMap<String, TensorInfo> tensors = LinkedHashMap.newLinkedHashMap(shards.size());
    files.forEach((shard, opened) -> {
      for (TensorInfo tensor : opened.tensors()) {
        TensorInfo other = tensors.put(tensor.name(), tensor);
        if (other != null) {
          throw fail(
              ErrorCode.INDEX_TENSOR_TWICE,
              "a tensor must be in one shard: tensor="
                  + Text.quote(tensor.name())
                  + (" shards=" + quoteName(other.file()) + ", " + Text.quote(shard)));
        }
      }
    });
    shards.forEach((name, shard) -> checkListed(tensors.get(name), name, shard));
    if (tensors.size() > shards.size()) {
      for (TensorInfo tensor : tensors.values()) {
        if (!shards.containsKey(tensor.name())) {
          throw fail(
              ErrorCode.INDEX_TENSOR_UNLISTED,
              "every tensor of a shard must be listed: tensor="
                  + Text.quote(tensor.name())
                  + (" shard=" + quoteName(tensor.file())));
        }
      }
    }
    return tensors;
  }

  private void checkListed(
      @org.jspecify.annotations.Nullable TensorInfo tensor, String name, String shard) {
    if (tensor == null) {
      throw fail(
          ErrorCode.INDEX_TENSOR_MISSING,
          "every listed tensor must be in its shard: tensor="
              + Text.quote(name)
              + (" shard=" + Text.quote(shard)));
    }
    if (!tensor.file().endsWith(shard)) {
      throw fail(
          ErrorCode.INDEX_TENSOR_WRONG_SHARD,
          "every listed tensor must be in its shard: tensor="
              + Text.quote(name)
              + (" shard=" + Text.quote(shard) + " found in=" + quoteName(tensor.file())));
    }
  }

  private static String quoteName(Path file) {
    return Text.quote(String.valueOf(file.getFileName()));
  }

  /** Reads the two known keys, skips others. */
  private static final class Parser {
    private final Path file;
    private final JsonReader reader;
    private final LinkedHashMap<String, String> shards = new LinkedHashMap<>();
    private final HashMap<String, String> names = new HashMap<>();
    private long totalSize = -1;
    private boolean mapSeen;

    Parser(Path file, byte[] utf8) {
      this.file = file;
      this.reader = new JsonReader(utf8, 0, utf8.length, JsonLimits.HEADER);
    }

    ShardIndex document() {
      if (reader.next() != JsonToken.BEGIN_OBJECT) {
        reader.skipValue();
        reader.next();
        throw invalid("it must be a JSON object");
      }
      while (reader.next() == JsonToken.NAME) {
        switch (reader.text()) {
          case "weight_map" -> weightMap();
          case "metadata" -> metadata();
          default -> skip();
        }
      }
      reader.next();
      if (shards.isEmpty()) {
        throw invalid("it must have a weight_map with at least one tensor");
      }
      return new ShardIndex(file, java.util.Collections.unmodifiableMap(shards), totalSize);
    }

    private void skip() {
      reader.next();
      reader.skipValue();
    }

    private void metadata() {
      if (reader.next() != JsonToken.BEGIN_OBJECT) {
        reader.skipValue();
        return;
      }
      while (reader.next() == JsonToken.NAME) {
        boolean total = reader.text().equals("total_size");
        reader.next();
        if (total) {
          totalSize = reader.unsignedValue();
        }
        reader.skipValue();
      }
    }

    private void weightMap() {
      if (mapSeen) {
        throw invalid("it must have one weight_map");
      }
      mapSeen = true;
      if (reader.next() != JsonToken.BEGIN_OBJECT) {
        throw invalid("weight_map must be an object");
      }
      while (reader.next() == JsonToken.NAME) {
        String tensor = reader.text();
        if (reader.next() != JsonToken.STRING) {
          throw invalid("weight_map must hold strings only: tensor=" + Text.quote(tensor));
        }
        String shard = shard(reader.text());
        if (shards.put(tensor, shard) != null) {
          throw invalid("a tensor must be listed once: tensor=" + Text.quote(tensor));
        }
        if (shards.size() > SafetensorsHeader.MAX_TENSORS) {
          throw invalid("it must list at most " + SafetensorsHeader.MAX_TENSORS + " tensors");
        }
      }
    }

    /** One String object a shard, checked once. */
    private String shard(String name) {
      String known = names.get(name);
      if (known != null) {
        return known;
      }
      if (!CheckpointFolder.isShardName(name)) {
        throw fail(
            file,
            ErrorCode.INDEX_SHARD_NAME,
            "a shard must be a plain file name ending with .safetensors: shard="
                + Text.quote(name));
      }
      names.put(name, name);
      return name;
    }

    private CheckpointException invalid(String why) {
      return fail(file, ErrorCode.INDEX_INVALID, why);
    }
  }
}
