package dev.fathom.examples.eval;

import dev.fathom.error.Text;
import dev.fathom.examples.console.Failure;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The tasks of an {@code eval.json}: exercises and texts, under the names of their tasks.
 *
 * <p>The protocol is that of the sample model's README: greedy answers to prompts that are spelled
 * out here, and perplexity over all tokens of a text after the first.
 *
 * @param exercises by task: arith, tool, extract
 * @param texts by task: {@code text:} and the kind; control tokens included
 */
public record EvalSet(Map<String, List<Exercise>> exercises, Map<String, List<String>> texts) {

  /** Before the kind in the name of a task of texts. */
  public static final String TEXT = "text:";

  private static final String BEGIN = "<｜begin▁of▁sentence｜>";
  private static final String USER = "<｜User｜>";
  private static final String ASSISTANT = "<｜Assistant｜>";
  private static final String TOOL_SEPARATOR = "<｜tool▁sep｜>";
  private static final int ARITH_TOKENS = 150;
  private static final int TOOL_TOKENS = 60;
  private static final int EXTRACT_TOKENS = 50;

  /** Copies the maps, keeping their order. */
  public EvalSet {
    exercises = Collections.unmodifiableMap(new LinkedHashMap<>(exercises));
    texts = Collections.unmodifiableMap(new LinkedHashMap<>(texts));
  }

  /**
   * Reads a file.
   *
   * @throws Failure where it cannot be read or is not a set of tasks
   */
  public static EvalSet read(Path file) {
    try {
      return new Reader(file).read(Files.readAllBytes(file));
    } catch (IOException e) {
      throw Failure.usage(
          "The tasks could not be read",
          "reading " + Text.quote(file.toString()) + " gave " + e.getClass().getSimpleName(),
          "give the file with --tasks-file PATH",
          e);
    }
  }

  /** Returns the names of all tasks. */
  public List<String> names() {
    List<String> names = new ArrayList<>(exercises.keySet());
    names.addAll(texts.keySet());
    return List.copyOf(names);
  }

  /**
   * Returns the named tasks alone, each cut to its first items.
   *
   * @param wanted names of tasks, or "text" for all kinds of text
   * @param limit most items of each task
   * @throws Failure where a name is not known
   */
  public EvalSet only(List<String> wanted, int limit) {
    Map<String, List<Exercise>> keptExercises = new LinkedHashMap<>();
    Map<String, List<String>> keptTexts = new LinkedHashMap<>();
    for (String name : wanted) {
      if (exercises.containsKey(name)) {
        keptExercises.put(name, first(exercises.getOrDefault(name, List.of()), limit));
      } else if (texts.containsKey(name)) {
        keptTexts.put(name, first(texts.getOrDefault(name, List.of()), limit));
      } else if (name.equals("text")) {
        texts.forEach((kind, all) -> keptTexts.put(kind, first(all, limit)));
      } else {
        throw Failure.usage(
            "The task " + Text.quote(name) + " is not known",
            "--tasks names it",
            "use some of: text, " + String.join(", ", names()));
      }
    }
    return new EvalSet(keptExercises, keptTexts);
  }

  private static <T> List<T> first(List<T> all, int limit) {
    return all.subList(0, Math.min(limit, all.size()));
  }

  /** Reads the tree of a file, and says where it is not what it should be. */
  private record Reader(Path file) {

    EvalSet read(byte[] bytes) {
      JsonObject root = object(parse(bytes), "the document");
      Map<String, List<Exercise>> exercises = new LinkedHashMap<>();
      for (String task : List.of("arith", "tool", "extract")) {
        List<Exercise> all = new ArrayList<>();
        if (root.get(task) instanceof JsonArray array) {
          array.forEach(item -> all.add(exercise(task, object(item, task))));
          exercises.put(task, List.copyOf(all));
        }
      }
      Map<String, List<String>> texts = new LinkedHashMap<>();
      if (root.has("text")) {
        object(root.get("text"), "text")
            .fields()
            .forEach((kind, value) -> texts.put(TEXT + kind, strings(value, kind)));
      }
      if (exercises.isEmpty() && texts.isEmpty()) {
        throw wrong("it must have one of the keys arith, tool, extract and text");
      }
      return new EvalSet(exercises, texts);
    }

    private JsonValue parse(byte[] bytes) {
      try {
        return Json.parse(bytes, JsonLimits.DEFAULT);
      } catch (JsonException e) {
        throw wrong(e.rule() + ": offset=" + e.offset());
      }
    }

    private Exercise exercise(String task, JsonObject item) {
      String question = string(item, task, "q");
      return switch (task) {
        case "arith" ->
            new Exercise(
                BEGIN + USER + question + ASSISTANT + "<think>",
                ARITH_TOKENS,
                Exercise.Rule.ENDS_WITH,
                "= " + string(item, task, "a"));
        case "tool" ->
            new Exercise(
                BEGIN + string(item, task, "system") + USER + question + ASSISTANT + "</think>",
                TOOL_TOKENS,
                Exercise.Rule.CONTAINS,
                string(item, task, "tool") + TOOL_SEPARATOR + string(item, task, "args"));
        default ->
            new Exercise(
                BEGIN
                    + USER
                    + "Extract name, age and city as JSON: "
                    + question
                    + ASSISTANT
                    + "</think>",
                EXTRACT_TOKENS,
                Exercise.Rule.CONTAINS,
                JsonWriter.python(object(item.get("a"), task + ".a")));
      };
    }

    private List<String> strings(JsonValue value, String kind) {
      List<String> all = new ArrayList<>();
      if (!(value instanceof JsonArray array)) {
        throw wrong("it must hold an array of strings: key=text." + kind);
      }
      for (JsonValue item : array) {
        if (!(item instanceof JsonString text)) {
          throw wrong("it must hold strings only: key=text." + kind);
        }
        all.add(text.value());
      }
      return List.copyOf(all);
    }

    private String string(JsonObject item, String task, String key) {
      String value = item.string(key);
      if (value == null) {
        throw wrong("each item must have a string: key=" + task + "." + key);
      }
      return value;
    }

    private JsonObject object(@Nullable JsonValue value, String name) {
      if (value instanceof JsonObject object) {
        return object;
      }
      throw wrong("it must be an object: key=" + name);
    }

    private Failure wrong(String why) {
      return Failure.usage(
          "The file " + Text.quote(file.toString()) + " holds no tasks",
          why,
          "give an eval.json in the form of the sample model's");
    }
  }
}
