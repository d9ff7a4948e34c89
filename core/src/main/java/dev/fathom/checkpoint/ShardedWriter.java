package dev.fathom.checkpoint;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.Text;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Writes the weights of a checkpoint: shards of a largest size and, last, their index; or one
 * {@code model.safetensors} where one shard is enough. Names and layout are those of transformers.
 */
public final class ShardedWriter {
  private final List<List<TensorSpec>> shards;
  private final long totalBytes;

  private ShardedWriter(List<List<TensorSpec>> shards, long totalBytes) {
    this.shards = shards;
    this.totalBytes = totalBytes;
  }

  /**
   * Distributes tensors over shards in their order; a tensor above the limit gets a shard of its
   * own.
   *
   * @param tensors at least one, names unique
   * @param maxShardBytes of tensor data, above 0
   */
  public static ShardedWriter plan(List<TensorSpec> tensors, long maxShardBytes) {
    if (tensors.isEmpty() || maxShardBytes <= 0) {
      throw new IllegalArgumentException(
          "must have tensors and room: tensors="
              + tensors.size()
              + (" maxShardBytes=" + maxShardBytes));
    }
    List<List<TensorSpec>> shards = new ArrayList<>();
    long total = 0;
    long left = 0;
    for (TensorSpec tensor : tensors) {
      if (shards.isEmpty() || tensor.byteLength() > left) {
        shards.add(new ArrayList<>());
        left = maxShardBytes;
      }
      shards.getLast().add(tensor);
      left -= tensor.byteLength();
      total = Math.addExact(total, tensor.byteLength());
    }
    return new ShardedWriter(shards, total);
  }

  /** Number of files, without the index. */
  public int numShards() {
    return shards.size();
  }

  /** Bytes of all tensors. */
  public long totalBytes() {
    return totalBytes;
  }

  /**
   * Name of a shard.
   *
   * @param shard from 0
   */
  public String shardName(int shard) {
    return shardName(shard, shards.size());
  }

  /** Name of a shard, from 0, of so many. */
  static String shardName(int shard, int numShards) {
    return numShards == 1
        ? CheckpointFolder.SINGLE
        : String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", shard + 1, numShards);
  }

  /**
   * Writes all shards, then the index.
   *
   * @param folder must exist and hold no weights yet
   * @param data gives the bytes of each tensor once, in the order of the plan
   * @throws CheckpointException if the folder holds weights, or the disk is full or fails
   */
  public void write(Path folder, TensorData data) {
    checkUnused(folder);
    SafetensorsWriter.checkSpace(folder.resolve(shardName(0)), totalBytes);
    for (int i = 0; i < shards.size(); i++) {
      SafetensorsWriter.write(
          folder.resolve(shardName(i)), shards.get(i), SafetensorsWriter.PYTORCH, data);
    }
    if (shards.size() > 1) {
      SafetensorsWriter.write(
          folder.resolve(CheckpointFolder.INDEX),
          JsonWriter.pretty(index()).getBytes(StandardCharsets.UTF_8));
    }
  }

  private static void checkUnused(Path folder) {
    if (java.nio.file.Files.exists(folder.resolve(CheckpointFolder.INDEX))
        || java.nio.file.Files.exists(folder.resolve(CheckpointFolder.SINGLE))) {
      throw new CheckpointException(
          ErrorCode.WRITE_FOLDER_IN_USE,
          "The checkpoint " + Text.quote(folder.toString()) + " is not written",
          "the folder already holds weights",
          "choose an empty folder");
    }
  }

  private JsonObject index() {
    Map<String, String> shardOf = new LinkedHashMap<>();
    for (int i = 0; i < shards.size(); i++) {
      for (TensorSpec tensor : shards.get(i)) {
        shardOf.put(tensor.name(), shardName(i));
      }
    }
    return index(shardOf, totalBytes);
  }

  /** The content of an index: which tensor lies in which file. */
  static JsonObject index(Map<String, String> shardOf, long totalBytes) {
    JsonObject.Builder map = JsonObject.builder();
    shardOf.forEach(map::put);
    return JsonObject.builder()
        .put("metadata", JsonObject.builder().put("total_size", totalBytes).build())
        .put("weight_map", map.build())
        .build();
  }
}
