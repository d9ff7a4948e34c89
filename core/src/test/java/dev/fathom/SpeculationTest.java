package dev.fathom;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.arch.Compatibility;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.json.Json;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.io.TempDir;

/** Speculative decoding of the trained sample model, through the API. */
class SpeculationTest {

  private static final List<String> CHAT_KINDS =
      List.of("wordnet", "facts", "debian", "arith", "tools");
  private static DeepSeekModel model;

  @TempDir Path folder;

  @BeforeAll
  static void load() {
    model =
        DeepSeekModel.builder(Sample.FP8)
            .backend("reference")
            .contextTokens(256)
            .maxSequences(2)
            .speculation(Speculation.mtp())
            .load();
  }

  @AfterAll
  static void close() {
    model.close();
  }

  /** Beginnings of texts of a kind, up to the model's turn. */
  private static List<int[]> prompts(String kind, int n) {
    try {
      byte[] bytes = Files.readAllBytes(Sample.FP8.resolve("eval.json"));
      JsonObject eval = (JsonObject) Json.parse(bytes, JsonLimits.DEFAULT);
      JsonArray texts = (JsonArray) ((JsonObject) eval.get("text")).get(kind);
      List<int[]> prompts = new ArrayList<>();
      for (int i = 0; i < n; i++) {
        String text = ((JsonString) texts.get(i)).value();
        String turn = text.contains("<think>") ? "<think>" : "</think>";
        prompts.add(
            model
                .tokenizer()
                .encodeWithSpecials(text.substring(0, text.indexOf(turn) + turn.length())));
      }
      return prompts;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static GenerationRequest.Builder request(int[] prompt, Speculation how) {
    return GenerationRequest.of(Prompt.tokens(prompt))
        .temperature(0)
        .maxTokens(48)
        .speculation(how);
  }

  private static List<TokenLogprob> tokens(Generation g) {
    return g.choices().getFirst().logprobs();
  }

  @Test
  void greedyOutputIsTheSameAndTheModuleSavesSteps(TestReporter reporter) {
    int tokens = 0;
    int saved = 0;
    int guesses = 0;
    for (String kind : CHAT_KINDS) {
      int kindGuesses = 0;
      int kindHeld = 0;
      for (int[] prompt : prompts(kind, 2)) {
        Generation plain = model.generate(request(prompt, Speculation.off()).build());
        Generation drafted = model.generate(request(prompt, Speculation.mtp()).build());
        assertThat(tokens(drafted)).isEqualTo(tokens(plain));
        assertThat(drafted.text()).isEqualTo(plain.text());
        assertThat(drafted.finishReason()).isEqualTo(plain.finishReason());
        assertThat(plain.usage().draftTokens()).isZero();
        tokens += drafted.usage().completionTokens();
        kindHeld += drafted.usage().acceptedDraftTokens();
        kindGuesses += drafted.usage().draftTokens();
      }
      reporter.publishEntry(kind, kindHeld + " of " + kindGuesses + " first guesses held");
      saved += kindHeld;
      guesses += kindGuesses;
    }
    reporter.publishEntry("all", saved + " of " + guesses + ", tokens " + tokens);
    assertThat((double) saved / guesses).isGreaterThanOrEqualTo(0.75);
    assertThat(tokens - saved)
        .as("steps that put out %d tokens", tokens)
        .isLessThan(tokens * 2 / 3);
  }

  @Test
  void sampledOutputIsTheSameForEveryWayOfGuessing() {
    int[] prompt = prompts("facts", 1).getFirst();
    for (long seed = 1; seed <= 4; seed++) {
      for (boolean penalized : new boolean[] {false, true}) {
        List<List<TokenLogprob>> outputs = new ArrayList<>();
        for (Speculation how :
            List.of(
                Speculation.off(),
                Speculation.mtp(1),
                Speculation.mtp(3),
                Speculation.ngram(4, 1, 4))) {
          GenerationRequest.Builder request =
              request(prompt, how).temperature(1).topP(0.9).seed(seed).maxTokens(24).topLogprobs(2);
          if (penalized) {
            request.repetitionPenalty(1.2).frequencyPenalty(0.3).minTokens(20);
          }
          outputs.add(tokens(model.generate(request.build())));
        }
        for (List<TokenLogprob> output : outputs) {
          assertThat(output).as("seed %d", seed).isEqualTo(outputs.getFirst());
        }
      }
    }
  }

  @Test
  void aModelGuessesByDefaultAsItWasLoadedTo() {
    int[] prompt = prompts("facts", 1).getFirst();
    Usage usage = model.generate(GenerationRequest.of(Prompt.tokens(prompt)).build()).usage();
    assertThat(usage.draftTokens()).isPositive();
    assertThat(model.metrics().draftTokens()).isGreaterThanOrEqualTo(usage.draftTokens() - 1L);
    assertThat(model.metrics().acceptedTokens()).isPositive();
    assertThat(usage.draftAcceptance())
        .isEqualTo((double) usage.acceptedDraftTokens() / usage.draftTokens());
  }

  @Test
  void lookedUpGuessesNeedNothingOfTheCheckpoint() {
    try (DeepSeekModel plain =
        DeepSeekModel.builder(Sample.FP8).backend("reference").contextTokens(128).load()) {
      int[] prompt = prompts("facts", 1).getFirst();
      Generation off = plain.generate(request(prompt, Speculation.off()).build());
      Generation on = plain.generate(request(prompt, Speculation.ngram(4, 1, 4)).build());
      assertThat(tokens(on)).isEqualTo(tokens(off));
      assertThat(on.usage().draftTokens()).isPositive();
      assertThatThrownBy(() -> plain.generate(request(prompt, Speculation.mtp(2)).build()))
          .isInstanceOfSatisfying(
              InvalidRequestException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.REQUEST_INVALID))
          .hasMessageContaining("must be loaded with the model: speculation=mtp(2)")
          .hasMessageContaining("Speculation.mtp()");
    }
  }

  @Test
  void theModuleIsInTheMemoryPlan() {
    LoadOptions options = LoadOptions.defaults().backend("reference").contextTokens(256);
    MemoryPlan plain = DeepSeekModel.plan(Sample.FP8, options);
    MemoryPlan module = DeepSeekModel.plan(Sample.FP8, options.speculation(Speculation.mtp()));
    assertThat(module.totalWeightBytes()).isGreaterThan(plain.totalWeightBytes() * 11 / 10);
    assertThat(module.kvCacheBytes() * 6).isEqualTo(plain.kvCacheBytes() * 7);
    assertThat(module.scratchBytes()).isGreaterThan(plain.scratchBytes());
    MemoryPlan lookedUp = DeepSeekModel.plan(Sample.FP8, options.speculation(Speculation.ngram(4)));
    assertThat(lookedUp.totalBytes()).isEqualTo(plain.totalBytes());
  }

  @Test
  void aCheckpointWithoutAModuleSaysSo() throws IOException {
    for (String file : new String[] {"config.json", "model.safetensors"}) {
      try (var in = SpeculationTest.class.getResourceAsStream("/goldens/v3/" + file)) {
        Files.write(folder.resolve(file), in.readAllBytes());
      }
    }
    LoadOptions options = LoadOptions.defaults().speculation(Speculation.mtp());
    assertThatThrownBy(() -> DeepSeekModel.plan(folder, options))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("has no module of multi-token prediction")
        .hasMessageContaining("speculation=mtp(1)")
        .hasMessageContaining("Speculation.ngram(4)");
    LoadOptions other = LoadOptions.defaults().backend("reference");
    assertThat(DeepSeekModel.plan(folder, other.speculation(Speculation.ngram(4))).totalBytes())
        .isEqualTo(DeepSeekModel.plan(folder, other).totalBytes());
  }

  @Test
  void waysOfGuessingAreCheckedAndPrintThemselves() {
    assertThat(Speculation.off()).hasToString("off");
    assertThat(Speculation.mtp()).hasToString("mtp(1)").isEqualTo(Speculation.mtp(1));
    assertThat(Speculation.ngram(4)).hasToString("ngram(4, 2, 8)");
    assertThatThrownBy(() -> Speculation.mtp(0)).hasMessageContaining("speculation.tokens=0");
    assertThatThrownBy(() -> Speculation.ngram(17)).hasMessageContaining("speculation.tokens=17");
    assertThatThrownBy(() -> Speculation.ngram(4, 3, 2))
        .hasMessageContaining("speculation.minMatch=3");
  }

  @Test
  void compatibilityIsAnOptionOfLoading() throws IOException {
    for (String file : new String[] {"config.json", "model.safetensors"}) {
      try (var in = SpeculationTest.class.getResourceAsStream("/goldens/qwen3_yarn/" + file)) {
        Files.write(folder.resolve(file), in.readAllBytes());
      }
    }
    LoadOptions options = LoadOptions.defaults();
    assertThat(options.compatibility()).isEqualTo(Compatibility.PUBLISHED);
    assertThat(options.compatibility(Compatibility.TRANSFORMERS).compatibility())
        .isEqualTo(Compatibility.TRANSFORMERS);
    String config = Files.readString(folder.resolve("config.json"));
    Files.writeString(
        folder.resolve("config.json"),
        config.replace("\"factor\"", "\"attn_factor\": 0.8782488562869419, \"factor\""));
    String published = OpenedModel.open(folder, options).program().toString();
    String transformers =
        OpenedModel.open(folder, options.compatibility(Compatibility.TRANSFORMERS))
            .program()
            .toString();
    assertThat(published).contains("amplitude=1.0)");
    assertThat(transformers).contains("amplitude=1.13").doesNotContain("amplitude=1.0)");
  }
}
