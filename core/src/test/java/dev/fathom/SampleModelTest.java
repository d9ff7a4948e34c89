package dev.fathom;

import static dev.fathom.text.ChatMessage.system;
import static dev.fathom.text.ChatMessage.user;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.kvcache.KvFormat;
import dev.fathom.text.ToolCall;
import dev.fathom.text.ToolDefinition;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The sample model against what transformers answers for it, through the whole API. */
class SampleModelTest {

  private static final double LOGPROB_TOLERANCE = 2e-3;
  private static final String END = "<｜end▁of▁sentence｜>";
  private static final double LOGIT_TOLERANCE = 2e-4;

  private static DeepSeekModel model;

  @BeforeAll
  static void load() {
    model = DeepSeekModel.builder(Sample.FP8).backend("reference").contextTokens(256).load();
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static void answersAsExpected(DeepSeekModel loaded, String checkpoint) {
    for (Sample.Expected expected : Sample.expected(checkpoint)) {
      GenerationRequest request =
          GenerationRequest.of(Prompt.tokens(expected.ids()))
              .temperature(0)
              .maxTokens(expected.greedy().length)
              .build();
      Generation answer = loaded.generate(request);
      assertThat(answer.tokenIds()).isEqualTo(expected.greedy());
      boolean ends = expected.text().endsWith(END);
      assertThat(answer.finishReason()).isEqualTo(ends ? FinishReason.EOS : FinishReason.LENGTH);
      assertThat(answer.text() + (ends ? END : "")).isEqualTo(expected.text());
      for (int i = 0; i < expected.greedy().length; i++) {
        assertThat((double) answer.logprobs().get(i).logprob())
            .isCloseTo(expected.logprobs()[i], within(LOGPROB_TOLERANCE));
      }
    }
  }

  @Test
  void answersEveryPromptWithTheTokensAndLogProbabilitiesOfTransformers() {
    answersAsExpected(model, "fp8");
  }

  @Test
  void theBf16CheckpointAnswersAsTransformersDo() {
    if (!Files.isDirectory(Sample.BF16)) {
      return;
    }
    try (DeepSeekModel bf16 =
        DeepSeekModel.builder(Sample.BF16).backend("reference").contextTokens(256).load()) {
      answersAsExpected(bf16, "bf16");
    }
  }

  @Test
  void logitsOfEveryPromptPositionAreThoseOfTransformers() {
    List<Sample.Expected> prompts = Sample.expected("fp8");
    for (int p = 0; p < prompts.size(); p++) {
      float[] expected = Sample.logits(p);
      int[] seen = new int[1];
      model.logits(
          prompts.get(p).ids(),
          7,
          (position, logits, offset, vocabSize) -> {
            assertThat(position).isEqualTo(seen[0]++);
            double largest = 0;
            for (int i = 0; i < vocabSize; i++) {
              double difference = logits[offset + i] - expected[position * vocabSize + i];
              largest = Math.max(largest, Math.abs(difference));
            }
            assertThat(largest).isLessThanOrEqualTo(LOGIT_TOLERANCE);
          });
      assertThat(seen[0]).isEqualTo(prompts.get(p).ids().length);
    }
  }

  @Test
  void resultsDoNotDependOnChunksAndBlocks() {
    Sample.Expected expected = Sample.expected("fp8").get(4);
    GenerationRequest request =
        GenerationRequest.of(Prompt.tokens(expected.ids())).temperature(0).build();
    List<TokenLogprob> whole = model.generate(request).logprobs();
    for (int chunk : new int[] {1, 5}) {
      try (DeepSeekModel other =
          DeepSeekModel.builder(Sample.FP8)
              .backend("reference")
              .contextTokens(50)
              .maxSequences(1)
              .prefillChunkTokens(chunk)
              .kvBlockTokens(chunk + 2)
              .load()) {
        assertThat(other.generate(request).logprobs()).isEqualTo(whole);
      }
    }
  }

  @Test
  void aBf16CacheAnswersTheSame() {
    try (DeepSeekModel other =
        DeepSeekModel.builder(Sample.FP8)
            .backend("reference")
            .contextTokens(64)
            .kvCache(KvFormat.BF16)
            .load()) {
      assertThat(other.chat("What is the capital of Norway?").text())
          .isEqualTo("The capital of Norway is Oslo.");
    }
  }

  @Test
  void perplexityIsTheExpOfTheMeanNegativeLogProbability() {
    Sample.Expected expected = Sample.expected("fp8").get(4);
    int[] all = Arrays.copyOf(expected.ids(), expected.ids().length + expected.greedy().length);
    System.arraycopy(expected.greedy(), 0, all, expected.ids().length, expected.greedy().length);
    Perplexity perplexity = model.perplexity(all, 16);
    assertThat(perplexity.numTokens()).isEqualTo(all.length - 1);
    double[] sum = new double[1];
    float[] golden = Sample.logits(4);
    for (int t = 0; t < expected.ids().length - 1; t++) {
      sum[0] -= logProbability(golden, t * 4096, expected.ids()[t + 1]);
    }
    sum[0] -= Arrays.stream(expected.logprobs()).sum();
    assertThat(perplexity.negativeLogLikelihood()).isCloseTo(sum[0], within(1e-2));
    assertThat(perplexity.value()).isCloseTo(Math.exp(sum[0] / (all.length - 1)), within(1e-3));
  }

  private static double logProbability(float[] logits, int offset, int id) {
    double sum = 0;
    for (int i = 0; i < 4096; i++) {
      sum += Math.exp(logits[offset + i]);
    }
    return logits[offset + id] - Math.log(sum);
  }

  @Test
  void chatSplitsReasoningFromTheAnswer() {
    Generation answer =
        model.generate(
            GenerationRequest.of(Prompt.chat(user("What is 27 + 48?")).thinking(true))
                .temperature(0)
                .build());
    assertThat(answer.text()).isEqualTo("27 + 48 = 75");
    assertThat(answer.reasoning()).startsWith("2 7 + 4 8.\n7 + 8 = 15").doesNotContain("think");
    assertThat(answer.finishReason()).isEqualTo(FinishReason.EOS);
    assertThat(answer.usage()).isEqualTo(new Usage(12, 0, 52, 44));
    assertThat(answer.usage().totalTokens()).isEqualTo(64);
  }

  @Test
  void chatGivesToolCalls() {
    ToolDefinition weather =
        new ToolDefinition("get_weather", "Get the weather of a city.", "{\"type\": \"object\"}");
    Prompt prompt = Prompt.chat(system(""), user("What is the weather in Oslo?")).tools(weather);
    Generation answer =
        model.generate(GenerationRequest.of(prompt).temperature(0).maxTokens(60).build());
    assertThat(answer.finishReason()).isEqualTo(FinishReason.TOOL_CALLS);
    assertThat(answer.toolCalls())
        .containsExactly(new ToolCall("get_weather", "{\"city\": \"Oslo\"}"));
    assertThat(answer.text()).isEmpty();
  }

  @Test
  void metricsTellTheLoadOfEachLayersExperts() {
    List<EngineMetrics.LayerLoad> before = model.metrics().expertLoad();
    Usage usage =
        model.generate(GenerationRequest.of(Prompt.text("What is")).maxTokens(9).build()).usage();
    List<EngineMetrics.LayerLoad> after = model.metrics().expertLoad();
    assertThat(after).extracting(EngineMetrics.LayerLoad::layer).containsExactly(1, 2, 3, 4, 5);
    // The last token that is put out is not computed.
    int computed = usage.promptTokens() + usage.completionTokens() - 1 - usage.cachedTokens();
    for (int i = 0; i < after.size(); i++) {
      assertThat(sum(after.get(i)) - sum(before.get(i))).isEqualTo(4L * computed);
      assertThat(after.get(i).tokens()).hasSize(16);
      assertThat(after.get(i).balancedness()).isBetween(1.0 / 16, 1.0);
    }
    assertThat(model.metrics().toPrometheus("fathom:"))
        .contains("fathom:expert_balancedness{layer=\"5\"} 0.");
    assertThat(new EngineMetrics.LayerLoad(0, List.of(3L, 0L, 0L)).balancedness())
        .isEqualTo(1.0 / 3);
  }

  private static long sum(EngineMetrics.LayerLoad load) {
    return load.tokens().stream().mapToLong(i -> i).sum();
  }

  @Test
  void rawTextStartsWithTheBeginToken() {
    int[] ids = model.encode(Prompt.text("What is"));
    assertThat(ids[0]).isZero();
    assertThat(model.tokenizer().decode(Arrays.copyOfRange(ids, 1, ids.length)))
        .isEqualTo("What is");
    assertThat(model.encode(Prompt.text("<｜User｜>"))).doesNotContain(4082);
  }

  @Test
  void diagnosticsSayWhatItRunsOn() {
    Diagnostics diagnostics = model.diagnostics();
    assertThat(diagnostics.backend()).isEqualTo("reference");
    assertThat(diagnostics.backendReason()).startsWith("asked for");
    assertThat(diagnostics.samplingDefaults())
        .isEqualTo(
            "temperature=0.6 topK=0 topP=0.95 repetitionPenalty=1.0 maxTokens=1024"
                + " (generation_config.json)");
    assertThat(diagnostics.promptFormat()).isEqualTo("sample");
    assertThat(diagnostics.modelType()).isEqualTo("deepseek_v3");
    assertThat(diagnostics.program()).contains("model.layers.5.");
    assertThat(diagnostics.toString()).contains("backend reference", "KV cache", "256 tokens");
  }

  @Test
  void theSamplePathIsWhereTheReadmeSaysItIs() {
    assertThat(Sample.FP8.resolve("config.json")).exists();
    assertThat(Path.of("src")).isDirectory();
  }
}
