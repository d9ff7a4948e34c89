package dev.fathom.examples;

import static dev.fathom.text.ChatMessage.user;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.fathom.Choice;
import dev.fathom.DeepSeekModel;
import dev.fathom.FinishReason;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.Speculation;
import dev.fathom.Token;
import dev.fathom.TokenKind;
import dev.fathom.TokenStream;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.text.ToolCall;
import dev.fathom.text.ToolDefinition;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Strict tools through the whole library: hot models that babble, reasoning, streams. */
class StrictToolsModelTest {

  private static final String WEATHER =
      """
      {"type": "object",
       "properties": {
         "city": {"type": "string", "minLength": 1, "maxLength": 12},
         "unit": {"enum": ["celsius", "kelvin"]},
         "days": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 7},
                  "maxItems": 2}},
       "required": ["city", "unit"], "additionalProperties": false}\
      """;
  private static final ToolDefinition TOOL =
      new ToolDefinition("get_weather", "Get the weather of a city.", WEATHER).strictly();

  @TempDir Path folder;

  private static void isValid(ToolCall call) {
    assertThat(call.name()).isEqualTo("get_weather");
    Schema schema =
        SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
            .getSchema(WEATHER, InputFormat.JSON);
    assertThat(schema.validate(call.argumentsJson(), InputFormat.JSON))
        .as(call.argumentsJson())
        .isEmpty();
  }

  private static GenerationRequest.Builder hot(int opening, boolean thinking) {
    return GenerationRequest.of(
            Prompt.chat(user("What is the weather in Oslo?")).tools(TOOL).thinking(thinking))
        .temperature(2)
        .logitBias(Map.of(opening, 30f))
        .maxTokens(220);
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void aRandomModelAtTheHighestTemperatureMakesNoInvalidCall(String backend) {
    Path path = TinyCheckpoint.write(folder, 4096);
    try (DeepSeekModel model =
        DeepSeekModel.builder(path).backend(backend).contextTokens(400).maxSequences(8).load()) {
      int opening = model.tokenizer().tokenId("<｜tool▁calls▁begin｜>");
      GenerationRequest request =
          hot(opening, true).seed(3).n(24).speculation(Speculation.ngram(3)).build();
      int complete = 0;
      for (Choice choice : model.generate(request).choices()) {
        choice.toolCalls().forEach(StrictToolsModelTest::isValid);
        if (choice.finishReason() != FinishReason.LENGTH) {
          complete++;
          assertThat(choice.finishReason()).isEqualTo(FinishReason.TOOL_CALLS);
          assertThat(choice.toolCalls()).isNotEmpty();
          assertThat(choice.text()).doesNotContain("get_weather", "tool▁call");
        }
      }
      assertThat(complete).isGreaterThan(4);
      assertThatThrownBy(() -> model.generate(hot(opening, false).minTokens(3).build()))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessageContaining("minTokens with strict tools");
    }
  }

  @Test
  void theSampleCallsItsToolWithArgumentsOfTheSchemaInAStreamToo() {
    try (DeepSeekModel model =
        DeepSeekModel.builder(Path.of("models", "sample")).contextTokens(400).load()) {
      GenerationRequest request =
          GenerationRequest.of(Prompt.chat(user("What is the weather in Oslo?")).tools(TOOL))
              .temperature(0)
              .maxTokens(100)
              .build();
      Generation answer = model.generate(request);
      assertThat(answer.finishReason()).isEqualTo(FinishReason.TOOL_CALLS);
      assertThat(answer.toolCalls()).hasSize(1);
      isValid(answer.toolCalls().getFirst());
      assertThat(answer.toolCalls().getFirst().argumentsJson()).contains("Oslo", "unit");
      List<ToolCall> streamed = new ArrayList<>();
      try (TokenStream stream = model.stream(request)) {
        for (Token token : stream) {
          if (token.kind() == TokenKind.TOOL_CALL && token.toolCall() != null) {
            streamed.add(token.toolCall());
          }
        }
      }
      assertThat(streamed).isEqualTo(answer.toolCalls());
    }
  }
}
