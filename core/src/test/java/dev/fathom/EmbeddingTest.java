package dev.fathom;

import static dev.fathom.text.ChatMessage.user;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.FathomException;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Texts as vectors, as users ask for them, on the sample model. */
class EmbeddingTest {

  private static final int CONTEXT = 32;
  private static final EmbeddingOptions PLAIN = EmbeddingOptions.defaults();
  private static DeepSeekModel model;

  @BeforeAll
  static void load() {
    model =
        DeepSeekModel.builder(Sample.FP8)
            .backend("reference")
            .contextTokens(CONTEXT)
            .maxSequences(3)
            .prefillChunkTokens(8)
            .load();
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @Test
  void vectorsHaveLengthOneUnlessAskedOtherwise() {
    List<String> texts = List.of("Oslo is in Norway.", "x", "");
    for (Pooling pooling : Pooling.values()) {
      Embeddings normal = model.embed(texts, PLAIN.pooling(pooling));
      Embeddings raw = model.embed(texts, PLAIN.pooling(pooling).normalized(false));
      assertThat(normal.vectors()).hasSize(3);
      for (int i = 0; i < 3; i++) {
        float[] unit = normal.vectors().get(i);
        float[] plain = raw.vectors().get(i);
        assertThat(unit).hasSize(normal.dimensions());
        double length = length(plain);
        assertThat(length(unit)).isCloseTo(1, within(1e-6));
        assertThat(length).isNotCloseTo(1, within(1e-3));
        for (int j = 0; j < unit.length; j++) {
          assertThat(unit[j] * length).isCloseTo(plain[j], within(1e-5 * length));
        }
      }
    }
  }

  private static double length(float[] vector) {
    return Math.sqrt(
        IntStream.range(0, vector.length).mapToDouble(i -> vector[i]).map(v -> v * v).sum());
  }

  @Test
  void aTextIsItsTokensAndTheCompanyDoesNotMatter() {
    List<String> texts = List.of("The capital of Norway is Oslo.", "27 + 48", "a", "b c d e f g h");
    Embeddings together = model.embed(texts, PLAIN.pooling(Pooling.MEAN));
    for (int i = 0; i < texts.size(); i++) {
      int[] ids = model.encode(Prompt.text(texts.get(i)));
      assertThat(together.tokens().get(i)).isEqualTo(ids.length);
      Embeddings alone = model.embedTokens(List.of(ids), PLAIN.pooling(Pooling.MEAN));
      assertThat(alone.vectors().getFirst()).isEqualTo(together.vectors().get(i));
    }
    assertThat(together.totalTokens())
        .isEqualTo(together.tokens().stream().mapToInt(Integer::intValue).sum());
    assertThat(model.embed("a")).isEqualTo(model.embed(List.of("a"), PLAIN).vectors().getFirst());
    assertThat(model.embed(List.of(), PLAIN).vectors()).isEmpty();
  }

  @Test
  void textsThatAreTooLongAreRefusedOrCut() {
    int[] ids = new int[CONTEXT + 1];
    Arrays.fill(ids, 17);
    refused(
        () -> model.embedTokens(List.of(new int[] {1}, ids), PLAIN),
        ErrorCode.PROMPT_TOO_LONG,
        "The text 1 does not fit the context: must be <= 32: tokens=33");
    Embeddings cut = model.embedTokens(List.of(ids), PLAIN.truncated(true));
    int[] fits = Arrays.copyOf(ids, CONTEXT);
    assertThat(cut.tokens()).containsExactly(CONTEXT);
    assertThat(cut.vectors().getFirst())
        .isEqualTo(model.embedTokens(List.of(fits), PLAIN).vectors().getFirst());
    refused(
        () -> model.embedTokens(List.of(new int[0]), PLAIN),
        ErrorCode.REQUEST_INVALID,
        "must be >= 1: tokens=0");
    refused(
        () -> model.embedTokens(List.of(new int[] {-1}), PLAIN),
        ErrorCode.REQUEST_INVALID,
        "ids=-1");
    refused(
        () -> model.embed(List.of("a"), PLAIN.adapter("red")),
        ErrorCode.ADAPTER_UNKNOWN,
        "no adapter is loaded");
  }

  @Test
  void generationsGoOnBesideEmbeddingsAndAreNotChanged() {
    GenerationRequest request =
        GenerationRequest.of(Prompt.chat(user("What is the capital of Norway?")))
            .temperature(0)
            .maxTokens(8)
            .build();
    Generation alone = model.generate(request);
    List<String> texts = IntStream.range(0, 9).mapToObj(i -> "text number " + i).toList();
    Embeddings expected = model.embed(texts, PLAIN);
    CompletableFuture<Embeddings> embedding =
        CompletableFuture.supplyAsync(() -> model.embed(texts, PLAIN), r -> new Thread(r).start());
    for (int i = 0; i < 3; i++) {
      Generation beside = model.generate(request);
      assertThat(beside.tokenIds()).isEqualTo(alone.tokenIds());
      assertThat(beside.logprobs()).isEqualTo(alone.logprobs());
    }
    assertThat(embedding.join().vectors().toArray(float[][]::new))
        .isDeepEqualTo(expected.vectors().toArray(float[][]::new));
    assertThat(model.usedKvBlocks()).isZero();
  }

  private static void refused(Runnable call, ErrorCode code, String why) {
    assertThatThrownBy(call::run)
        .isInstanceOfSatisfying(FathomException.class, e -> assertThat(e.code()).isEqualTo(code))
        .hasMessageContaining(why);
  }
}
