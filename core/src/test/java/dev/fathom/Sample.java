package dev.fathom;

import dev.fathom.checkpoint.CheckpointReader;
import dev.fathom.checkpoint.ReadProgress;
import dev.fathom.checkpoint.SafetensorsFile;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The sample checkpoint, and what it must answer. */
final class Sample {

  static final Path FP8 = Path.of("..", "examples", "models", "sample");
  static final Path BF16 = Path.of("..", "..", "shared", "models", "sample", "bf16");
  private static final Path RESOURCES = Path.of("src", "test", "resources");

  private Sample() {}

  /**
   * A prompt and its greedy continuation.
   *
   * @param ids of the prompt
   * @param greedy ids of the continuation
   * @param logprobs of the continuation
   * @param text continuation, control tokens included
   */
  record Expected(int[] ids, int[] greedy, double[] logprobs, String text) {}

  static List<Expected> expected(String checkpoint) {
    try {
      byte[] bytes = Files.readAllBytes(RESOURCES.resolve("expected.json"));
      JsonObject all = (JsonObject) Json.parse(bytes, JsonLimits.DEFAULT);
      JsonObject half = (JsonObject) all.fields().get(checkpoint);
      List<Expected> expected = new ArrayList<>();
      for (JsonValue value : (JsonArray) half.fields().get("prompts")) {
        JsonObject o = (JsonObject) value;
        expected.add(
            new Expected(
                ints(o, "input_ids"), ints(o, "greedy"), doubles(o, "logprobs"), o.string("text")));
      }
      return expected;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int[] ints(JsonObject o, String name) {
    return ((JsonArray) o.fields().get(name))
        .values().stream().mapToInt(v -> (int) ((JsonNumber) v).longValueExact()).toArray();
  }

  private static double[] doubles(JsonObject o, String name) {
    return ((JsonArray) o.fields().get(name))
        .values().stream().mapToDouble(v -> ((JsonNumber) v).doubleValue()).toArray();
  }

  /** The logits [T, V] of a prompt of the FP8 checkpoint. */
  static float[] logits(int prompt) {
    SafetensorsFile file = SafetensorsFile.open(RESOURCES.resolve("expected-fp8.safetensors"));
    TensorInfo tensor =
        file.tensors().stream()
            .filter(t -> t.name().equals("prompt" + prompt + ".logits"))
            .findFirst()
            .orElseThrow();
    try (CheckpointReader reader = CheckpointReader.of(List.of(file), ReadProgress.NONE);
        Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(tensor.byteLength(), 8);
      reader.read(tensor, bytes);
      return bytes.toArray(ValueLayout.JAVA_FLOAT);
    }
  }
}
