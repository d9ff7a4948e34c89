package dev.fathom;

import static dev.fathom.text.ChatMessage.user;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.text.ToolCall;
import dev.fathom.text.ToolDefinition;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Each option of a request and each way to end, on the sample model. */
class RequestOptionsTest {

  private static final String NORWAY = "What is the capital of Norway?";
  private static final String OSLO = "The capital of Norway is Oslo.";
  private static final int CONTEXT = 64;

  private static DeepSeekModel model;

  @BeforeAll
  static void load() {
    model =
        DeepSeekModel.builder(Sample.FP8)
            .backend("reference")
            .contextTokens(CONTEXT)
            .maxSequences(3)
            .prefillChunkTokens(16)
            .load();
  }

  @AfterAll
  static void close() {
    assertThat(model.usedKvBlocks()).isZero();
    model.close();
  }

  private static GenerationRequest.Builder norway() {
    return GenerationRequest.of(Prompt.chat(user(NORWAY))).temperature(0);
  }

  private static Generation run(GenerationRequest.Builder request) {
    return model.generate(request.build());
  }

  @Test
  void theEndTokenEndsTheAnswerAndIsNotText() {
    Generation answer = run(norway());
    assertThat(answer.text()).isEqualTo(OSLO);
    assertThat(answer.finishReason()).isEqualTo(FinishReason.EOS);
    assertThat(answer.tokenIds()).endsWith(1).hasSize(10);
    assertThat(answer.choices().getFirst().stop()).isNull();
    assertThat(answer.usage()).isEqualTo(new Usage(13, 0, 10, 0));
    assertThat(answer.timings().decodeTokensPerSecond()).isPositive();
    assertThat(answer.timings().prefillTokensPerSecond()).isPositive();
  }

  @Test
  void maxTokensEndsWithLength() {
    Generation answer = run(norway().maxTokens(3));
    assertThat(answer.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(answer.tokenIds()).hasSize(3);
    assertThat(OSLO).startsWith(answer.text());
    assertThat(run(norway().maxTokens(1)).tokenIds()).hasSize(1);
  }

  @Test
  void aFullContextEndsWithContext() {
    Generation answer = run(norway().ignoreEos(true));
    assertThat(answer.finishReason()).isEqualTo(FinishReason.CONTEXT);
    assertThat(answer.usage().totalTokens()).isEqualTo(CONTEXT);
    assertThat(answer.text()).startsWith(OSLO);
  }

  @Test
  void ignoreEosGoesOnBehindTheEndToken() {
    Generation answer = run(norway().ignoreEos(true).maxTokens(20));
    assertThat(answer.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(answer.tokenIds()).hasSize(20).contains(1);
  }

  @Test
  void minTokensForbidsEndAndStopTokensUntilThen() {
    Generation answer = run(norway().minTokens(15).maxTokens(30));
    assertThat(Arrays.copyOf(answer.tokenIds(), 15)).doesNotContain(1);
    assertThat(answer.tokenIds().length).isGreaterThanOrEqualTo(15);
    assertThat(run(norway().minTokens(9)).tokenIds()).isEqualTo(run(norway()).tokenIds());
  }

  @Test
  void aStopStringAcrossTokenBordersCutsTheTextBeforeIt() {
    Generation answer = run(norway().stop("way is Os"));
    assertThat(answer.text()).isEqualTo("The capital of Nor");
    assertThat(answer.finishReason()).isEqualTo(FinishReason.STOP);
    assertThat(answer.choices().getFirst().stop()).isEqualTo("way is Os");
  }

  @Test
  void aStopStringWithinMinTokensIsOrdinaryText() {
    assertThat(run(norway().stop("capital")).text()).isEqualTo("The ");
    assertThat(run(norway().stop("capital").minTokens(8)).text()).isEqualTo(OSLO);
  }

  @Test
  void aStreamedToolCallComesWholeInOneEvent() {
    ToolDefinition weather =
        new ToolDefinition("get_weather", "Get the weather of a city.", "{\"type\": \"object\"}");
    GenerationRequest request =
        GenerationRequest.of(Prompt.chat(user("What is the weather in Oslo?")).tools(weather))
            .temperature(0)
            .build();
    List<Token> calls = new ArrayList<>();
    try (TokenStream stream = model.stream(request)) {
      for (Token token : stream) {
        if (token.kind() == TokenKind.TOOL_CALL) {
          calls.add(token);
        }
      }
      assertThat(stream.result().finishReason()).isEqualTo(FinishReason.TOOL_CALLS);
    }
    assertThat(calls).hasSize(1);
    assertThat(calls.getFirst().toolCall())
        .isEqualTo(new ToolCall("get_weather", "{\"city\": \"Oslo\"}"));
  }

  @Test
  void noPartOfAStopStringIsEverStreamed() {
    for (int from = 0; from < OSLO.length(); from++) {
      for (int len : new int[] {1, 4, 12}) {
        String stop = OSLO.substring(from, Math.min(OSLO.length(), from + len));
        String seen = streamed(norway().stop(stop, "never said").build());
        assertThat(seen).isEqualTo(OSLO.substring(0, OSLO.indexOf(stop)));
      }
      from += 6;
    }
  }

  private static String streamed(GenerationRequest request) {
    StringBuilder text = new StringBuilder();
    try (TokenStream stream = model.stream(request)) {
      for (Token token : stream) {
        text.append(token.text());
      }
      assertThat(stream.result().text()).isEqualTo(text.toString());
    }
    return text.toString();
  }

  @Test
  void aStopStringThatNeverComesHoldsNothingBackAtTheEnd() {
    assertThat(streamed(norway().stop("Oslo.\n", ".x").build())).isEqualTo(OSLO);
    assertThat(streamed(norway().stop("Oslo.\n").maxTokens(9).build())).isEqualTo(OSLO);
  }

  @Test
  void aStopTokenEndsWithStopAndIsNotText() {
    int[] ids = run(norway()).tokenIds();
    Generation answer = run(norway().stopTokenIds(4000, ids[4]));
    assertThat(answer.finishReason()).isEqualTo(FinishReason.STOP);
    assertThat(answer.choices().getFirst().stop()).isEqualTo(Integer.toString(ids[4]));
    assertThat(answer.tokenIds()).isEqualTo(Arrays.copyOf(ids, 5));
    assertThat(answer.text()).isEqualTo(model.tokenizer().decode(Arrays.copyOf(ids, 4)));
  }

  @Test
  void streamedTokensAreThoseOfTheResult() {
    List<Integer> ids = new ArrayList<>();
    try (TokenStream stream = model.stream(norway().topLogprobs(2).build())) {
      for (Token token : stream) {
        if (token.id() != Token.NO_ID) {
          assertThat(token.index()).isEqualTo(ids.size());
          assertThat(token.alternatives()).hasSize(2);
          assertThat(token.logprob()).isEqualTo(token.alternatives().getFirst().logprob());
          ids.add(token.id());
        }
        assertThat(token.kind()).isEqualTo(TokenKind.CONTENT);
      }
      assertThat(stream.result().tokenIds())
          .isEqualTo(ids.stream().mapToInt(Integer::intValue).toArray());
    }
  }

  @Test
  void streamedKindsTellReasoningFromContent() {
    GenerationRequest request =
        GenerationRequest.of(Prompt.chat(user("What is 2 + 3?")).thinking(true))
            .temperature(0)
            .maxTokens(45)
            .build();
    StringBuilder reasoning = new StringBuilder();
    StringBuilder content = new StringBuilder();
    Generation result;
    try (TokenStream stream = model.stream(request)) {
      for (Token token : stream) {
        (token.kind() == TokenKind.REASONING ? reasoning : content).append(token.text());
      }
      result = stream.result();
    }
    assertThat(result.reasoning()).isEqualTo(reasoning.toString()).isNotEmpty();
    assertThat(result.text()).isEqualTo(content.toString()).endsWith("= 5");
    assertThat(result.usage().reasoningTokens()).isBetween(1, result.tokenIds().length - 1);
  }

  @Test
  void theSameSeedGivesTheSameTextAndAnotherSeedAnother() {
    GenerationRequest.Builder request =
        GenerationRequest.of(Prompt.text("The")).temperature(1.5).maxTokens(12);
    Generation first = run(request.seed(5));
    assertThat(run(request.seed(5)).logprobs()).isEqualTo(first.logprobs());
    assertThat(run(request.seed(6)).tokenIds()).isNotEqualTo(first.tokenIds());
    assertThat(first.choices().getFirst().seed()).isEqualTo(5);
  }

  @Test
  void aDrawnSeedIsReportedAndRepeatsTheAnswer() {
    GenerationRequest.Builder request =
        GenerationRequest.of(Prompt.text("The")).temperature(1.5).maxTokens(8);
    Generation drawn = run(request);
    Generation again = run(request.seed(drawn.choices().getFirst().seed()));
    assertThat(again.tokenIds()).isEqualTo(drawn.tokenIds());
  }

  @Test
  void severalChoicesDifferAndEachIsWhatItsSeedGivesAlone() {
    GenerationRequest.Builder request =
        GenerationRequest.of(Prompt.text("The large")).temperature(1.5).maxTokens(8);
    Generation five = run(request.n(5).seed(3));
    Set<String> texts = new HashSet<>();
    for (Choice choice : five.choices()) {
      texts.add(choice.text());
      Generation alone = run(request.n(1).seed(choice.seed()));
      assertThat(alone.logprobs()).isEqualTo(choice.logprobs());
    }
    assertThat(five.choices()).hasSize(5);
    assertThat(texts).hasSizeGreaterThan(3);
    assertThat(five.usage().completionTokens()).isEqualTo(40);
  }

  @Test
  void biasForcesAndForbidsTokens() {
    int oslo = run(norway()).tokenIds()[5];
    Generation without = run(norway().logitBias(Map.of(oslo, -100f)).maxTokens(12));
    assertThat(without.tokenIds()).doesNotContain(oslo);
    Generation forced = run(norway().logitBias(Map.of(500, 100f)).maxTokens(3));
    assertThat(forced.tokenIds()).containsExactly(500, 500, 500);
  }

  @Test
  void penaltiesLowerWhatWasPutOut() {
    double plain = lead(norway());
    assertThat(lead(norway().frequencyPenalty(2))).isCloseTo(plain - 2, within(1e-3));
    assertThat(lead(norway().presencePenalty(1.5))).isCloseTo(plain - 1.5, within(1e-3));
    assertThat(lead(norway().presencePenalty(1).frequencyPenalty(-0.5)))
        .isCloseTo(plain - 0.5, within(1e-3));
    assertThat(lead(norway().repetitionPenalty(1.25))).isLessThan(plain - 5);
  }

  /** How far token 500, put out before, is ahead of token 501 for the second token. */
  private static double lead(GenerationRequest.Builder request) {
    Generation answer =
        run(
            request
                .logitBias(Map.of(500, 90f, 501, 60f))
                .maxTokens(2)
                .topLogprobs(2)
                .processedLogprobs(true));
    List<TokenLogprob.Alternative> top = answer.logprobs().get(1).top();
    assertThat(top).extracting(TokenLogprob.Alternative::id).containsExactly(500, 501);
    return (double) top.get(0).logprob() - top.get(1).logprob();
  }

  @Test
  void truncationsReachTheSampler() {
    GenerationRequest.Builder request = norway().temperature(2).seed(1);
    assertThat(run(request.topK(1)).text()).isEqualTo(OSLO);
    assertThat(run(norway().temperature(2).seed(1).topP(1e-6)).text()).isEqualTo(OSLO);
    assertThat(run(norway().temperature(2).seed(1).minP(1)).text()).isEqualTo(OSLO);
  }

  @Test
  void processedLogProbabilitiesOfOneTokenLeftAreZero() {
    Generation answer = run(norway().temperature(1).topK(1).processedLogprobs(true));
    assertThat(answer.logprobs()).allMatch(token -> token.logprob() == 0);
  }

  @Test
  void defaultsComeFromGenerationConfigAndTheRequestWins() {
    GenerationRequest.Builder open =
        GenerationRequest.of(Prompt.text("The large")).maxTokens(10).seed(4);
    Generation defaults = run(open);
    assertThat(run(open.temperature(0.6).topP(0.95)).tokenIds()).isEqualTo(defaults.tokenIds());
    assertThat(run(open.temperature(2).topP(1)).tokenIds()).isNotEqualTo(defaults.tokenIds());
  }

  @Test
  void whatDependsOnTheModelIsCheckedWithTheRequest() {
    assertThatThrownBy(() -> run(GenerationRequest.of(Prompt.tokens(new int[CONTEXT]))))
        .isInstanceOfSatisfying(
            InvalidRequestException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.PROMPT_TOO_LONG))
        .hasMessageContaining("must be < 64: prompt tokens=64");
    assertThatThrownBy(() -> run(GenerationRequest.of(Prompt.tokens())))
        .hasMessageContaining("prompt tokens=0");
    assertThatThrownBy(() -> run(GenerationRequest.of(Prompt.tokens(4096))))
        .hasMessageContaining("must be in [0, 4095]: prompt=4096");
    assertThatThrownBy(() -> run(norway().stopTokenIds(4096)))
        .hasMessageContaining("stopTokenIds=4096");
    assertThatThrownBy(() -> run(norway().logitBias(Map.of(4096, 1f))))
        .hasMessageContaining("logitBias.token=4096");
    assertThatThrownBy(() -> run(norway().minTokens(1025)))
        .hasMessageContaining("must be in [0, 1024]: minTokens=1025");
    assertThatThrownBy(() -> model.logits(new int[65], 1, (p, l, o, v) -> {}))
        .hasMessageContaining("ids.length=65");
    assertThatThrownBy(() -> model.logits(new int[5], 17, (p, l, o, v) -> {}))
        .hasMessageContaining("must be in [1, 16]: chunk=17");
  }

  @Test
  void theLongestPromptLeavesRoomForOneToken() {
    Generation answer =
        run(GenerationRequest.of(Prompt.tokens(new int[CONTEXT - 1])).temperature(0));
    assertThat(answer.finishReason()).isIn(FinishReason.CONTEXT, FinishReason.EOS);
    assertThat(answer.tokenIds()).hasSize(1);
  }
}
