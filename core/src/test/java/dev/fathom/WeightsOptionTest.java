package dev.fathom;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.InvalidRequestException;
import dev.fathom.quant.WeightFormat;
import dev.fathom.text.ChatMessage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Linear layers brought to another format while loading. */
class WeightsOptionTest {

  private static DeepSeekModel load(WeightFormat format) {
    return DeepSeekModel.builder(Sample.FP8)
        .backend("reference")
        .contextTokens(128)
        .maxSequences(1)
        .weights(format)
        .load();
  }

  private static MemoryPlan plan(LoadOptions options) {
    return DeepSeekModel.plan(Sample.FP8, options.backend("reference").contextTokens(128));
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "FP8_E4M3", "INT8"})
  void aTrainedModelStillCalculatesInEveryFormatOfEightBitsOrMore(WeightFormat format) {
    try (DeepSeekModel model = load(format)) {
      GenerationRequest request =
          GenerationRequest.of(Prompt.chat(ChatMessage.user("What is 27 + 48?")).thinking(true))
              .temperature(0)
              .maxTokens(80)
              .build();
      assertThat(model.generate(request).text()).isEqualTo("27 + 48 = 75");
    }
  }

  @Test
  void fourBitsRoundedToNearestCostPerplexityButNotSense() {
    int[] text;
    double stored;
    try (DeepSeekModel model = DeepSeekModel.builder(Sample.FP8).backend("reference").load()) {
      text = model.tokenizer().encodeText("The capital of Norway is Oslo. 2 + 2 = 4.");
      stored = model.perplexity(text, 16).value();
    }
    try (DeepSeekModel model = load(WeightFormat.INT4)) {
      double rounded = model.perplexity(text, 16).value();
      assertThat(rounded).isNotEqualTo(stored).isLessThan(2 * stored);
    }
  }

  @Test
  void thePlanCountsTheBytesOfTheFormat() {
    LoadOptions kept = LoadOptions.defaults();
    long stored = plan(kept).totalWeightBytes();
    long int4 = plan(kept.weights(WeightFormat.INT4)).totalWeightBytes();
    long int8 = plan(kept.weights(WeightFormat.INT8)).totalWeightBytes();
    long bf16 = plan(kept.weights(WeightFormat.BF16)).totalWeightBytes();
    assertThat(int4).isLessThan(int8);
    assertThat(int8).isBetween(stored * 95 / 100, stored * 105 / 100);
    assertThat(bf16).isGreaterThan(stored * 3 / 2);
    assertThat(plan(kept.weights(WeightFormat.FP8_E4M3)).totalWeightBytes()).isEqualTo(stored);
  }

  @Test
  void aFormatWithoutQuantizerIsRefusedWhereItIsSet() {
    assertThatThrownBy(() -> LoadOptions.defaults().weights(WeightFormat.MXFP4))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("must be one of [BF16, FP8_E4M3, INT8, INT4]: weights=MXFP4");
  }
}
