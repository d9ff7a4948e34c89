package dev.fathom.examples.cli;

import dev.fathom.MemoryPlan;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramPrinter;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What inspect found, for a script. */
record InspectDocument(Checkpoint checkpoint, Program program, MemoryPlan memory) {

  private static final long MAX_CONFIG_BYTES = 16 << 20;

  /** Returns the document, with lists of tensors and operations where they are wanted. */
  JsonObject json(boolean withTensors, boolean withProgram) {
    return JsonObject.builder()
        .put("folder", checkpoint.folder().toString())
        .put("model_type", checkpoint.config().modelType())
        .put("config", config(checkpoint))
        .put("tensors", tensors(withTensors))
        .put("program", program(withProgram))
        .put("memory", memoryDocument())
        .build();
  }

  /** Returns config.json as it is in the folder. */
  static JsonObject config(Checkpoint checkpoint) {
    byte[] bytes = checkpoint.file("config.json", MAX_CONFIG_BYTES);
    if (bytes != null && Json.parse(bytes, JsonLimits.DEFAULT) instanceof JsonObject object) {
      return object;
    }
    throw new IllegalStateException("an opened checkpoint has a config.json that is an object");
  }

  private JsonObject tensors(boolean all) {
    Map<String, JsonValue> byType = new TreeMap<>();
    checkpoint
        .tensors()
        .values()
        .forEach(tensor ->
            byType.merge(tensor.dtype().name(), JsonNumber.of(1), InspectDocument::plusOne));
    JsonObject.Builder document =
        JsonObject.builder()
            .put("count", checkpoint.tensors().size())
            .put("bytes", checkpoint.weightBytes())
            .put("files", checkpoint.files().size())
            .put("by_dtype", JsonObject.of(byType));
    if (all) {
      List<JsonValue> list =
          checkpoint.tensors().values().stream().map(InspectDocument::tensor).toList();
      document.put("list", new JsonArray(list));
    }
    return document.build();
  }

  private static JsonValue plusOne(JsonValue count, JsonValue one) {
    return count instanceof JsonNumber number ? JsonNumber.of(number.longValueExact() + 1) : one;
  }

  private static JsonValue tensor(TensorInfo tensor) {
    return JsonObject.builder()
        .put("name", tensor.name())
        .put("dtype", tensor.dtype().name())
        .put("shape", shape(tensor))
        .put("bytes", tensor.byteLength())
        .put("file", String.valueOf(tensor.file().getFileName()))
        .build();
  }

  /** Returns the dimensions of a tensor. */
  static JsonArray shape(TensorInfo tensor) {
    return new JsonArray(
        Arrays.stream(tensor.shape()).mapToObj(dim -> (JsonValue) JsonNumber.of(dim)).toList());
  }

  private JsonObject program(boolean printed) {
    JsonObject.Builder kinds = JsonObject.builder();
    operations(program).forEach((kind, count) -> kinds.put(kind, count));
    JsonObject.Builder document =
        JsonObject.builder()
            .put("name", program.name())
            .put("operations", program.ops().size())
            .put("weights", program.weights().size())
            .put("by_kind", kinds.build());
    if (printed) {
      List<JsonValue> lines =
          ProgramPrinter.print(program)
              .lines()
              .map(line -> (JsonValue) new JsonString(line))
              .toList();
      document.put("lines", new JsonArray(lines));
    }
    return document.build();
  }

  /** Returns how many operations of each kind there are. */
  static Map<String, Integer> operations(Program program) {
    Map<String, Integer> counts = new TreeMap<>();
    for (Op op : program.ops()) {
      counts.merge(op.kind(), 1, Integer::sum);
    }
    return counts;
  }

  private JsonObject memoryDocument() {
    return JsonObject.builder()
        .put("total_bytes", memory.totalBytes())
        .put("weight_bytes", memory.totalWeightBytes())
        .put("kv_cache_bytes", memory.kvCacheBytes())
        .put("scratch_bytes", memory.scratchBytes())
        .put("context_tokens", memory.contextTokens())
        .put("max_sequences", memory.maxSequences())
        .put("available_bytes", memory.available().bytes())
        .put("limit", memory.available().limit())
        .put("fits", memory.fits())
        .build();
  }
}
