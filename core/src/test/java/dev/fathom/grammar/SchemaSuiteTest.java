package dev.fathom.grammar;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.error.InvalidRequestException;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonException;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;

/**
 * The JSON Schema test suite (draft 2020-12, optional parts included): nothing invalid is ever
 * accepted, and how much is accepted may only grow ({@code schema-coverage.txt}).
 */
class SchemaSuiteTest {

  private static final int WALKS = 12;

  private record Group(String file, String description, JsonValue schema, List<Case> cases) {

    String json() {
      return JsonWriter.compact(schema);
    }
  }

  private record Case(String description, JsonValue data, boolean valid) {}

  private static byte[] resource(String name) {
    try (InputStream in = SchemaSuiteTest.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("must be a test resource: name=" + name);
      }
      return name.endsWith(".gz") ? new GZIPInputStream(in).readAllBytes() : in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Lines that our parser refuses (unpaired surrogates) are left out. */
  private static List<Group> groups() {
    List<Group> groups = new ArrayList<>();
    String all = new String(resource("json-schema-test-suite.jsonl.gz"), StandardCharsets.UTF_8);
    for (String line : all.lines().toList()) {
      JsonObject object;
      try {
        object = (JsonObject) Json.parse(line, JsonLimits.DEFAULT);
      } catch (JsonException e) {
        continue;
      }
      List<Case> cases = new ArrayList<>();
      for (JsonValue value : ((JsonArray) field(object, "tests")).values()) {
        JsonObject one = (JsonObject) value;
        boolean valid = ((JsonBoolean) field(one, "valid")).value();
        cases.add(new Case(String.valueOf(one.string("description")), field(one, "data"), valid));
      }
      String file = String.valueOf(object.string("file"));
      String description = String.valueOf(object.string("description"));
      groups.add(new Group(file, description, field(object, "schema"), cases));
    }
    return groups;
  }

  private static JsonValue field(JsonObject object, String name) {
    JsonValue value = object.get(name);
    if (value == null) {
      throw new IllegalStateException("must have a field: name=" + name);
    }
    return value;
  }

  private static CompiledGrammar compile(Group group, boolean open) {
    return new Grammars(Vocabularies.small())
        .compile(new GrammarSource.Schema(group.json(), JsonGap.FLEXIBLE, open));
  }

  @Test
  void nothingInvalidIsAcceptedAndCoverageOnlyGrows() {
    int compiled = 0;
    int accepted = 0;
    int valid = 0;
    List<Group> groups = groups();
    Map<String, Integer> refused = new TreeMap<>();
    for (Group group : groups) {
      CompiledGrammar grammar;
      try {
        grammar = compile(group, true);
      } catch (InvalidRequestException e) {
        refused.merge(e.why().replaceAll("at \"[^\"]*\"", ""), 1, Integer::sum);
        continue;
      }
      compiled++;
      for (Case one : group.cases()) {
        boolean taken = Vocabularies.accepts(grammar, JsonWriter.compact(one.data()));
        assertThat(taken && !one.valid())
            .as("false accept: %s, %s: %s", group.file(), group.description(), one.description())
            .isFalse();
        accepted += taken ? 1 : 0;
        valid += one.valid() ? 1 : 0;
        if (Boolean.getBoolean("suite.print") && !taken && one.valid()) {
          System.out.println(
              "false reject: " + group.file() + " | " + group.description() + " | " + one.data());
        }
      }
    }
    if (Boolean.getBoolean("suite.print")) {
      refused.forEach((why, n) -> System.out.println(n + " " + why));
      System.out.println(groups.size() + " " + compiled + " " + accepted + "/" + valid);
    }
    Map<String, Integer> floor = floor();
    assertThat(groups.size()).isEqualTo(floor.get("groups"));
    assertThat(compiled).as("compiled").isGreaterThanOrEqualTo(floor.getOrDefault("compiled", 0));
    assertThat(accepted).as("accepted").isGreaterThanOrEqualTo(floor.getOrDefault("accepted", 0));
  }

  private static Map<String, Integer> floor() {
    Map<String, Integer> floor = new TreeMap<>();
    for (String line :
        new String(resource("schema-coverage.txt"), StandardCharsets.UTF_8).lines().toList()) {
      int equals = line.indexOf('=');
      if (!line.startsWith("#") && equals > 0) {
        floor.put(line.substring(0, equals), Integer.parseInt(line.substring(equals + 1)));
      }
    }
    return floor;
  }

  @Test
  void whateverAGrammarOfTheSuiteWritesIsValidToAnotherValidator() {
    int documents = 0;
    for (boolean open : new boolean[] {true, false}) {
      for (Group group : groups()) {
        CompiledGrammar grammar;
        try {
          grammar = compile(group, open);
        } catch (InvalidRequestException e) {
          continue;
        }
        Judge judge = new Judge(group.json());
        Random random = new Random(group.description().hashCode());
        for (int i = 0; i < WALKS; i++) {
          String text = Walks.text(grammar, random, 4 + 3 * i);
          if (Vocabularies.accepts(grammar, text)) {
            documents++;
            assertThat(judge.errors(text))
                .as("%s, %s: %s", group.file(), group.description(), text)
                .isEmpty();
          }
        }
      }
    }
    assertThat(documents).isGreaterThan(5_000);
  }
}
