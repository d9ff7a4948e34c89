package dev.fathom.examples;

import static dev.fathom.text.ChatMessage.user;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.fathom.DeepSeekModel;
import dev.fathom.FinishReason;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.ResponseFormat;
import dev.fathom.Speculation;
import dev.fathom.Token;
import dev.fathom.TokenKind;
import dev.fathom.TokenStream;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The trained sample model under response formats, at temperatures at which it babbles. */
class StructuredOutputTest {

  private static final String PERSON =
      """
      {"type": "object",
       "properties": {
         "name": {"type": "string", "minLength": 1, "maxLength": 12},
         "age": {"type": "integer", "minimum": 0, "maximum": 130},
         "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "maxItems": 3},
         "born": {"type": "string", "format": "date"},
         "parent": {"anyOf": [{"$ref": "#/$defs/short"}, {"type": "null"}]}},
       "required": ["name", "age", "born"],
       "additionalProperties": false,
       "$defs": {"short": {"type": "object", "required": ["id"],
         "properties": {"id": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}}}}}\
      """;

  private static DeepSeekModel model;

  @BeforeAll
  static void load() {
    model =
        DeepSeekModel.builder(Path.of("models", "sample"))
            .contextTokens(512)
            .maxSequences(16)
            .load();
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static GenerationRequest.Builder hot(Prompt prompt, ResponseFormat format, long seed) {
    return GenerationRequest.of(prompt)
        .responseFormat(format)
        .temperature(1.5)
        .maxTokens(300)
        .seed(seed);
  }

  private static List<Generation> generate(int count, ResponseFormat format, boolean thinking) {
    List<CompletableFuture<Generation>> futures = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Prompt prompt = Prompt.chat(user("What is " + i + " + 48?")).thinking(thinking);
      futures.add(model.submit(hot(prompt, format, i).build()));
    }
    return futures.stream().map(CompletableFuture::join).toList();
  }

  private static List<Generation> complete(List<Generation> all) {
    return all.stream().filter(g -> g.finishReason() == FinishReason.EOS).toList();
  }

  private static void isValid(String schemaJson, String text) {
    Schema schema =
        SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
            .getSchema(schemaJson, InputFormat.JSON);
    assertThat(
            schema.validate(
                text,
                InputFormat.JSON,
                c -> c.executionConfig(config -> config.formatAssertionsEnabled(true))))
        .as(text)
        .isEmpty();
  }

  @Test
  void hundredsOfHotAnswersParseAndAreValid() {
    List<Generation> complete = complete(generate(120, ResponseFormat.jsonSchema(PERSON), false));
    assertThat(complete).hasSizeGreaterThan(80);
    complete.forEach(answer -> isValid(PERSON, answer.text()));
  }

  @Test
  void reasoningIsFreeAndTheAnswerBehindItKeepsToTheSchema() {
    List<Generation> all = generate(40, ResponseFormat.jsonSchema(PERSON), true);
    List<Generation> complete = complete(all);
    assertThat(complete).isNotEmpty();
    assertThat(complete).anyMatch(answer -> !answer.reasoning().isEmpty());
    complete.forEach(answer -> isValid(PERSON, answer.text()));
    // An end token inside the reasoning would have ended an answer without its text.
    assertThat(complete).noneMatch(answer -> answer.text().isEmpty());
  }

  @Test
  void objectsRegularExpressionsChoicesAndGrammarsAreKept() {
    complete(generate(20, ResponseFormat.jsonObject(), false))
        .forEach(answer -> isValid("{\"type\": \"object\"}", answer.text()));
    List<Generation> dates =
        generate(20, ResponseFormat.regex("20[0-9]{2}-(0[1-9]|1[0-2])"), false);
    assertThat(complete(dates)).hasSize(20);
    dates.forEach(answer -> assertThat(answer.text()).matches("20[0-9]{2}-(0[1-9]|1[0-2])"));
    List<Generation> choices = generate(20, ResponseFormat.choice("yes", "no", "not sure"), false);
    choices.forEach(answer -> assertThat(answer.text()).isIn("yes", "no", "not sure"));
    assertThat(choices).extracting(Generation::text).contains("yes", "no");
    String sum = "root ::= term (\"+\" term){1,4}\nterm ::= [0-9]{1,3} | \"(\" root \")\"";
    for (Generation answer : complete(generate(20, ResponseFormat.grammar(sum), false))) {
      assertThat(answer.text()).matches("[0-9+()]+").contains("+");
      assertThat(answer.text().chars().filter(c -> c == '(').count())
          .isEqualTo(answer.text().chars().filter(c -> c == ')').count());
    }
  }

  @Test
  void aStreamGivesTheSameTextTokenByToken() {
    GenerationRequest request =
        hot(Prompt.text("The person:"), ResponseFormat.jsonSchema(PERSON), 5).build();
    StringBuilder text = new StringBuilder();
    try (TokenStream stream = model.stream(request)) {
      for (Token token : stream) {
        assertThat(token.kind()).isEqualTo(TokenKind.CONTENT);
        text.append(token.text());
      }
    }
    assertThat(text.toString()).isEqualTo(model.generate(request).text());
    isValid(PERSON, text.toString());
  }

  @Test
  void tagsInsideStringsStayText() {
    String tag = "<think>";
    GenerationRequest request =
        hot(Prompt.chat(user("Hi")), ResponseFormat.choice("a " + tag + " b"), 1).build();
    assertThat(model.generate(request).text()).isEqualTo("a <think> b");
  }

  @Test
  void manyChoicesOfOneRequestKeepToTheFormatEachByItself() {
    GenerationRequest request =
        hot(Prompt.text("Date:"), ResponseFormat.regex("[0-9]{4}-[0-9]{2}"), 3).n(8).build();
    assertThat(model.generate(request).choices())
        .allSatisfy(choice -> assertThat(choice.text()).matches("[0-9]{4}-[0-9]{2}"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void guessesChangeNothingUnderAFormatAndManyHold(String backend) {
    String schema =
        """
        {"type": "object", "properties": {"city": {"type": "string", "maxLength": 6},
         "size": {"enum": ["small", "large"]}}, "required": ["city", "size"],
         "additionalProperties": false}\
        """;
    List<ResponseFormat> formats =
        List.of(
            ResponseFormat.jsonSchema(schema),
            ResponseFormat.regex("(Oslo|Bergen), [0-9]{4}-[0-9]{2}(, again){0,3}"));
    List<Speculation> ways =
        List.of(Speculation.mtp(1), Speculation.mtp(3), Speculation.ngram(4, 1, 4));
    try (DeepSeekModel drafting =
        DeepSeekModel.builder(Path.of("models", "sample"))
            .backend(backend)
            .contextTokens(128)
            .maxSequences(4)
            .speculation(Speculation.mtp())
            .load()) {
      int held = 0;
      for (int i = 0; i < 8; i++) {
        Prompt prompt = Prompt.chat(user("What is the capital of Norway?")).thinking(i > 5);
        GenerationRequest plain =
            hot(prompt, formats.get(i % 2), i)
                .temperature(i < 4 ? 0 : 1.2)
                .maxTokens(56)
                .speculation(Speculation.off())
                .build();
        Generation expected = drafting.generate(plain);
        for (Speculation way : ways) {
          Generation drafted = drafting.generate(plain.toBuilder().speculation(way).build());
          assertThat(drafted.choices().getFirst().logprobs())
              .as("%s %s", way, expected.text())
              .isEqualTo(expected.choices().getFirst().logprobs());
          held += drafted.usage().acceptedDraftTokens();
        }
        if (expected.finishReason() == FinishReason.EOS && i % 2 == 0) {
          isValid(schema, expected.text());
        }
      }
      assertThat(held).isGreaterThan(20);
    }
  }

  @Test
  void eachErrorSaysWhatToDoAndThatHelps() {
    refused(ResponseFormat.regex("(a"), ErrorCode.GRAMMAR_INVALID, "correct it");
    refused(ResponseFormat.regex("a(?=b)"), ErrorCode.GRAMMAR_UNSUPPORTED, "write it without");
    refused(
        ResponseFormat.jsonSchema("{\"not\": {}}"),
        ErrorCode.GRAMMAR_UNSUPPORTED,
        "leave the keyword out");
    refused(ResponseFormat.regex("a".repeat(20_001)), ErrorCode.GRAMMAR_TOO_LARGE, "shorten it");
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 30_000; i++) {
      texts.add(i + " elements");
    }
    refused(ResponseFormat.choice(texts), ErrorCode.GRAMMAR_TOO_LARGE, "make it smaller");
    ResponseFormat fewer = ResponseFormat.choice(texts.subList(0, 300));
    assertThat(model.generate(hot(Prompt.text("x"), fewer, 1).build()).text())
        .endsWith(" elements");
    assertThat(model.generate(hot(Prompt.text("x"), ResponseFormat.regex("(a)"), 1).build()).text())
        .isEqualTo("a");
  }

  private static void refused(ResponseFormat format, ErrorCode code, String fix) {
    assertThatThrownBy(() -> model.generate(hot(Prompt.text("x"), format, 1).build()))
        .isInstanceOfSatisfying(
            InvalidRequestException.class,
            e -> {
              assertThat(e.code()).isEqualTo(code);
              assertThat(e.fix()).contains(fix);
            });
  }
}
