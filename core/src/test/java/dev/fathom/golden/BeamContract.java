package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.Choice;
import dev.fathom.DeepSeekModel;
import dev.fathom.FinishReason;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.LoadOptions;
import dev.fathom.Prompt;
import dev.fathom.ResponseFormat;
import dev.fathom.Speculation;
import dev.fathom.TokenLogprob;
import dev.fathom.error.InvalidRequestException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Beam search finds what a plain one finds, on every backend that implements this. */
public abstract class BeamContract {

  private static final Path SAMPLE = Path.of("..", "examples", "models", "sample");
  private static final int MAX_TOKENS = 5;

  /** End token of the sample, by its generation_config.json. */
  private static final int[] ENDS = {1};

  /** Returns the name of the backend. */
  protected abstract String backend();

  private LoadOptions options() {
    return LoadOptions.defaults()
        .backend(backend())
        .contextTokens(48)
        .maxSequences(3)
        .kvBlockTokens(4)
        .prefillChunkTokens(8);
  }

  private DeepSeekModel load(LoadOptions options) {
    return DeepSeekModel.builder(SAMPLE).options(options).load();
  }

  private static GenerationRequest.Builder request(String text) {
    return GenerationRequest.of(Prompt.text(text)).maxTokens(MAX_TOKENS);
  }

  private static PlainBeamSearch.Model plain(DeepSeekModel model) {
    Map<List<Integer>, float[]> known = new HashMap<>();
    return tokens ->
        known.computeIfAbsent(
            Arrays.stream(tokens).boxed().toList(), key -> logprobs(model, tokens));
  }

  private static float[] logprobs(DeepSeekModel model, int[] tokens) {
    float[][] last = new float[1][];
    model.logits(
        tokens,
        8,
        (position, logits, offset, vocabSize) -> {
          if (position == tokens.length - 1) {
            last[0] = PlainBeamSearch.logprobs(logits, offset, vocabSize);
          }
        });
    return last[0];
  }

  private static void assertAnswers(
      Generation actual, List<PlainBeamSearch.Answer> expected, int n) {
    assertThat(actual.choices()).hasSize(n);
    for (int i = 0; i < n; i++) {
      Choice choice = actual.choices().get(i);
      PlainBeamSearch.Answer answer = expected.get(i);
      assertThat(choice.tokenIds()).as("answer %d", i).isEqualTo(answer.tokens());
      float[] logprobs = new float[answer.tokens().length];
      for (int t = 0; t < logprobs.length; t++) {
        logprobs[t] = choice.logprobs().get(t).logprob();
      }
      assertThat(logprobs).as("answer %d", i).isEqualTo(answer.logprobs());
      assertThat(choice.finishReason())
          .isEqualTo(answer.ended() ? FinishReason.EOS : FinishReason.LENGTH);
    }
  }

  @Test
  void aSearchFindsWhatAPlainOneFinds() {
    try (DeepSeekModel model = load(options())) {
      boolean anyEnded = false;
      PlainBeamSearch.Model plain = plain(model);
      for (String text : List.of("What is the capital of Norway?", "Once there was")) {
        int[] prompt = model.encode(Prompt.text(text));
        for (int width : new int[] {1, 4}) {
          for (double penalty : new double[] {1, 0, -1.5}) {
            List<PlainBeamSearch.Answer> expected =
                PlainBeamSearch.search(plain, prompt, width, penalty, MAX_TOKENS, ENDS);
            GenerationRequest.Builder request =
                request(text).beams(width).lengthPenalty(penalty).n(width);
            assertAnswers(model.generate(request.build()), expected, width);
            anyEnded |= expected.stream().limit(width).anyMatch(PlainBeamSearch.Answer::ended);
          }
        }
      }
      assertThat(anyEnded).as("an answer that ends by itself").isTrue();
      assertThat(model.usedKvBlocks()).isZero();
    }
  }

  @Test
  void aSearchIsTheSameInCompanyAndWithASmallCache() {
    Generation alone;
    GenerationRequest search = request("Once there was a").beams(4).n(2).topLogprobs(2).build();
    try (DeepSeekModel model = load(options())) {
      alone = model.generate(search);
      assertThat(alone.choices().getFirst().logprobs()).allMatch(p -> p.top().size() == 2);
      assertThat(alone.usage().completionTokens())
          .isEqualTo(alone.choices().stream().mapToInt(c -> c.tokenIds().length).sum());
    }
    for (int sequences : new int[] {1, 6}) {
      try (DeepSeekModel model =
          load(options().maxSequences(sequences).kvCacheTokens(48).contextTokens(48))) {
        List<CompletableFuture<Generation>> searches = new ArrayList<>();
        List<CompletableFuture<Generation>> others = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
          searches.add(model.submit(search));
          others.add(model.submit(request("Tell me of " + i).seed(i).temperature(1).build()));
        }
        for (CompletableFuture<Generation> future : searches) {
          assertThat(future.join().choices()).isEqualTo(alone.choices());
        }
        others.forEach(CompletableFuture::join);
        assertThat(model.usedKvBlocks()).isZero();
      }
    }
  }

  @Test
  void aBeamOfOneIsTheGreedyAnswerAndStopTokensEndAnswers() {
    try (DeepSeekModel model = load(options())) {
      Generation greedy = model.generate(request("Once there was").temperature(0).build());
      Generation beam = model.generate(request("Once there was").beams(1).build());
      assertThat(beam.choices().getFirst().tokenIds())
          .isEqualTo(greedy.choices().getFirst().tokenIds());
      assertThat(beam.text()).isEqualTo(greedy.text());
      int stop = greedy.choices().getFirst().tokenIds()[1];
      Generation stopped =
          model.generate(
              request("Once there was").beams(3).lengthPenalty(-9).stopTokenIds(stop).build());
      List<TokenLogprob> tokens = stopped.logprobs();
      assertThat(tokens.getLast().id()).isEqualTo(stop);
      assertThat(stopped.finishReason()).isEqualTo(FinishReason.STOP);
      assertThat(stopped.choices().getFirst().stop()).isEqualTo(Integer.toString(stop));
    }
  }

  @Test
  void whatMakesNoSenseInASearchIsRefusedAndWithoutItTheSearchRuns() {
    List<UnaryOperator<GenerationRequest.Builder>> bad =
        List.of(
            r -> r.temperature(0.7),
            r -> r.topK(5),
            r -> r.topP(0.9),
            r -> r.minP(0.1),
            r -> r.repetitionPenalty(1.1),
            r -> r.presencePenalty(0.5),
            r -> r.frequencyPenalty(0.5),
            r -> r.minTokens(2),
            r -> r.stop("x"),
            r -> r.badWords("x"),
            r -> r.allowedTokenIds(5, 6),
            r -> r.noRepeatNgram(3),
            r -> r.processedLogprobs(true),
            r -> r.speculation(Speculation.ngram(2)),
            r -> r.responseFormat(ResponseFormat.jsonObject()),
            r -> r.n(4),
            r -> r.beams(16).stopTokenIds(5, 6, 7, 8, 9));
    try (DeepSeekModel model = load(options())) {
      for (UnaryOperator<GenerationRequest.Builder> option : bad) {
        GenerationRequest request = option.apply(request("Once").maxTokens(3).beams(3)).build();
        assertThatThrownBy(() -> model.generate(request))
            .isInstanceOf(InvalidRequestException.class)
            .hasMessageContaining("beams=");
      }
      assertThatThrownBy(() -> model.stream(request("Once").beams(2).build()))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessageContaining("cannot be streamed");
      assertThatThrownBy(() -> request("Once").beams(17))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessageContaining("beams=17");
      assertThat(
              model
                  .generate(
                      request("Once").beams(3).temperature(0).topP(1).repetitionPenalty(1).build())
                  .text())
          .isNotNull();
    }
  }
}
