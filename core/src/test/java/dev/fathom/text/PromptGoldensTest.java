package dev.fathom.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonBoolean;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Every family against what its chat template renders; see render_prompt_goldens.py. */
class PromptGoldensTest {

  @Test
  void everyConversationRendersAsItsTemplateDoes() {
    Map<String, Integer> counts = new TreeMap<>();
    for (JsonObject golden : goldens()) {
      PromptEncoder encoder = encoder(golden);
      String prompt = encoder.render(conversation(golden), options(golden));
      assertThat(prompt).as(golden.toString()).isEqualTo(golden.string("prompt"));
      counts.merge(encoder.family(), 1, Integer::sum);
    }
    assertThat(counts.get("sample")).isGreaterThanOrEqualTo(120);
    assertThat(counts)
        .containsOnlyKeys("sample", "deepseek-v3-original", "deepseek-v3.1", "deepseek-r1");
  }

  @Test
  void idsAreThoseOfTheRenderedPromptWhereNoTextNamesAControlToken() {
    int numPrompts = 0;
    for (JsonObject golden : goldens()) {
      Conversation conversation = conversation(golden);
      if (golden.toString().contains("r</think>") || golden.toString().contains("A</think>")) {
        continue;
      }
      PromptEncoder encoder = encoder(golden);
      int[] ids = encoder.encode(conversation, options(golden));
      Tokenizer tokenizer = tokenizer(encoder.family());
      assertThat(ids)
          .as(golden.toString())
          .isEqualTo(tokenizer.encodeWithSpecials(golden.string("prompt")));
      assertThat(tokenizer.decode(ids)).isEqualTo(golden.string("prompt"));
      numPrompts++;
    }
    assertThat(numPrompts).isGreaterThan(350);
  }

  private static List<JsonObject> goldens() {
    JsonArray array =
        (JsonArray) Json.parse(Tokenizers.bytes("prompt-goldens.json"), JsonLimits.DEFAULT);
    return array.values().stream().map(JsonObject.class::cast).toList();
  }

  private static PromptEncoder encoder(JsonObject golden) {
    String family = golden.string("family");
    return PromptEncoders.named(family, tokenizer(family));
  }

  private static Tokenizer tokenizer(String family) {
    return switch (family) {
      case "sample" -> Tokenizers.sample();
      case "deepseek-v3-original" -> Tokenizers.v3();
      default -> Tokenizers.r1();
    };
  }

  private static PromptOptions options(JsonObject golden) {
    return new PromptOptions(flag(golden, "thinking"), flag(golden, "generate"), "");
  }

  private static boolean flag(JsonObject object, String name) {
    return ((JsonBoolean) object.get(name)).value();
  }

  private static Conversation conversation(JsonObject golden) {
    List<ChatMessage> messages = new ArrayList<>();
    for (JsonValue value : (JsonArray) golden.get("messages")) {
      messages.add(message((JsonObject) value));
    }
    List<ToolDefinition> tools = new ArrayList<>();
    for (JsonValue value : (JsonArray) golden.get("tools")) {
      JsonObject tool = (JsonObject) value;
      String parameters = JsonWriter.compact(tool.get("parameters"));
      tools.add(new ToolDefinition(tool.string("name"), tool.string("description"), parameters));
    }
    return new Conversation(messages, tools);
  }

  private static ChatMessage message(JsonObject message) {
    String content = message.string("content");
    return switch (message.string("role")) {
      case "system" -> ChatMessage.system(content);
      case "user" -> ChatMessage.user(content);
      case "tool" -> ChatMessage.toolResult(content);
      default -> new ChatMessage.AssistantMessage(content, null, calls(message));
    };
  }

  private static List<ToolCall> calls(JsonObject message) {
    List<ToolCall> calls = new ArrayList<>();
    if (message.get("tool_calls") instanceof JsonArray array) {
      for (JsonValue value : array) {
        JsonObject function = (JsonObject) ((JsonObject) value).get("function");
        calls.add(new ToolCall(function.string("name"), function.string("arguments")));
      }
    }
    return calls;
  }
}
