package dev.fathom.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.Choice;
import dev.fathom.DeepSeekModel;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.Token;
import dev.fathom.TokenLogprob;
import dev.fathom.TokenStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A request gives one answer, bit for bit, whatever runs beside it, before it and around it.
 *
 * <p>{@code -Psame-answer} asks the trained sample instead of a tiny model of random weights.
 */
class SameAnswerTest {

  private static final int RUNS = Integer.getInteger("fathom.sameAnswer.runs", 1_000);
  private static final String MODEL = System.getProperty("fathom.sameAnswer.model", "");
  private static final int RUNS_OF_A_MODEL = 50;
  private static final int VOCAB = 256;

  @TempDir Path folder;

  private Path model() {
    return MODEL.isEmpty() ? TinyCheckpoint.write(folder.resolve("tiny"), VOCAB) : Path.of(MODEL);
  }

  private static int[] prompt(Random random, int length) {
    return random.ints(length, 3, VOCAB).toArray();
  }

  /** Greedy; two drawn choices with penalties; drawn with truncation and alternatives. */
  private static List<GenerationRequest> subjects() {
    Random random = new Random(11);
    return List.of(
        GenerationRequest.of(Prompt.tokens(prompt(random, 37)))
            .temperature(0)
            .ignoreEos(true)
            .maxTokens(12)
            .topLogprobs(3)
            .build(),
        GenerationRequest.of(Prompt.tokens(prompt(random, 20)))
            .temperature(1)
            .seed(5)
            .n(2)
            .repetitionPenalty(1.2)
            .frequencyPenalty(0.3)
            .ignoreEos(true)
            .maxTokens(10)
            .build(),
        GenerationRequest.of(Prompt.tokens(prompt(random, 51)))
            .temperature(0.8)
            .topK(40)
            .topP(0.9)
            .minP(0.01)
            .seed(6)
            .processedLogprobs(true)
            .topLogprobs(5)
            .noRepeatNgram(3)
            .ignoreEos(true)
            .maxTokens(12)
            .build());
  }

  /** Everything that must be the same: ids and the bits of all log-probabilities. */
  private static List<Integer> fingerprint(Generation answer) {
    List<Integer> print = new ArrayList<>();
    for (Choice choice : answer.choices()) {
      for (TokenLogprob token : choice.logprobs()) {
        print.add(token.id());
        print.add(Float.floatToRawIntBits(token.logprob()));
        for (TokenLogprob.Alternative other : token.top()) {
          print.add(other.id());
          print.add(Float.floatToRawIntBits(other.logprob()));
        }
      }
    }
    return print;
  }

  private static DeepSeekModel load(Path path, String backend, Random random) {
    int[] chunks = {1, 2, 5, 16, 64, 256};
    int[] blocks = backend.equals("cpu") ? new int[] {16, 32, 64} : new int[] {1, 3, 16, 32};
    return DeepSeekModel.builder(path)
        .backend(backend)
        .contextTokens(128)
        .threads(1 + random.nextInt(4))
        .maxSequences(1 + random.nextInt(6))
        .prefillChunkTokens(chunks[random.nextInt(chunks.length)])
        .kvBlockTokens(blocks[random.nextInt(blocks.length)])
        .load();
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void aThousandRunsInRandomCompanyGiveOneOutput(String backend) {
    Path path = model();
    Random random = new Random(2026);
    List<GenerationRequest> subjects = subjects();
    Map<Integer, List<Integer>> expected = new HashMap<>();
    int runs = 0;
    while (runs < RUNS) {
      try (DeepSeekModel model = load(path, backend, random)) {
        for (int i = 0; i < RUNS_OF_A_MODEL && runs < RUNS; i++, runs++) {
          int subject = random.nextInt(subjects.size());
          Generation answer = inCompany(model, subjects.get(subject), random);
          List<Integer> print = fingerprint(answer);
          assertThat(print).as("run %d", runs).isNotEmpty();
          assertThat(print)
              .as("run %d of subject %d", runs, subject)
              .isEqualTo(expected.computeIfAbsent(subject, s -> print));
        }
      }
    }
    assertThat(expected).hasSize(subjects.size());
    assertThat(expected.values()).doesNotHaveDuplicates();
  }

  private static Generation inCompany(
      DeepSeekModel model, GenerationRequest subject, Random random) {
    List<CompletableFuture<Generation>> company = new ArrayList<>();
    int before = random.nextInt(4);
    for (int i = 0; i < before; i++) {
      company.add(model.submit(companion(subject, random)));
    }
    CompletableFuture<Generation> asked = model.submit(subject);
    int after = random.nextInt(3);
    for (int i = 0; i < after; i++) {
      company.add(model.submit(companion(subject, random)));
    }
    if (random.nextInt(4) == 0) {
      try (TokenStream stream = model.stream(companion(subject, random))) {
        Token first = stream.iterator().next();
        assertThat(first.choice()).isNotNegative();
      }
    }
    company.stream().filter(c -> random.nextInt(4) == 0).forEach(c -> c.cancel(true));
    Generation answer = asked.join();
    for (CompletableFuture<Generation> other : company) {
      if (!other.isCancelled()) {
        assertThat(awaited(other)).isNotNull();
      }
    }
    return answer;
  }

  private static Generation awaited(CompletableFuture<Generation> future) {
    try {
      return future.join();
    } catch (CompletionException e) {
      throw new AssertionError("a companion failed", e);
    }
  }

  /** Some companions share a beginning with the subject, so that a prefix cache is hit. */
  private static GenerationRequest companion(GenerationRequest subject, Random random) {
    int[] own = prompt(random, 1 + random.nextInt(60));
    if (random.nextInt(3) == 0 && subject.prompt() instanceof Prompt.Tokens tokens) {
      int[] shared = tokens.ids();
      int len = 1 + random.nextInt(shared.length);
      own = Arrays.copyOf(shared, len + 5);
      Arrays.fill(own, len, len + 5, 3 + random.nextInt(200));
    }
    return GenerationRequest.of(Prompt.tokens(own))
        .temperature(random.nextInt(2))
        .seed(random.nextLong())
        .n(1 + random.nextInt(2))
        .maxTokens(1 + random.nextInt(12))
        .build();
  }

  @Test
  void theComparisonSeesADifferentSeed() {
    try (DeepSeekModel model = load(model(), "cpu", new Random(1))) {
      GenerationRequest drawn = subjects().get(1);
      List<Integer> one = fingerprint(model.generate(drawn));
      assertThat(fingerprint(model.generate(drawn.toBuilder().seed(6).build()))).isNotEqualTo(one);
      assertThat(fingerprint(model.generate(drawn))).isEqualTo(one);
    }
  }
}
