package dev.fathom.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.checkpoint.RopeScaling;
import dev.fathom.program.RopeLayout;
import dev.fathom.program.RopeSpec;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** Frequencies and scales against section D of the test vectors. */
class RopeFrequenciesTest {

  private static final String V3 =
      yarn(
          40,
          4096,
          ", \"mscale\": 1.0, \"mscale_all_dim\": 1.0, \"beta_fast\": 32, \"beta_slow\": 1");

  private static String yarn(double factor, int original, String more) {
    return "{\"type\": \"yarn\", \"factor\": "
        + factor
        + ", \"original_max_position_embeddings\": "
        + original
        + more
        + "}";
  }

  private static RopeScaling scaling(String json) {
    String config = "{\"model_type\": \"x\", \"rope_scaling\": " + json + "}";
    return ModelConfig.parse(config.getBytes(StandardCharsets.UTF_8), "config.json").ropeScaling();
  }

  private static RopeSpec spec(int dim, double base, String json) {
    return RopeFrequencies.spec(dim, base, scaling(json), RopeLayout.INTERLEAVED);
  }

  private static void frequency(RopeSpec rope, int pair, double expected) {
    assertThat((double) rope.inverseFrequency(pair))
        .as("f[%d]", pair)
        .isCloseTo(expected, within(1e-6 * expected));
  }

  @Test
  void theTableOfV2AndV3() {
    RopeSpec rope = spec(64, 1e4, V3);
    frequency(rope, 0, 1);
    frequency(rope, 10, Math.pow(1e4, -20 / 64.0));
    frequency(rope, 11, 3.900692657e-02);
    frequency(rope, 16, 5.5e-03);
    frequency(rope, 23, 3.333803580e-05);
    frequency(rope, 31, 3.333803580e-06);
    assertThat(rope.amplitude()).isEqualTo(1f);
    assertThat(rope.dim()).isEqualTo(64);
  }

  @Test
  void theTableOfTheCompressorOfV4() {
    RopeSpec rope = spec(64, 1.6e5, yarn(16, 65536, ""));
    frequency(rope, 16, 2.265625e-03);
    frequency(rope, 20, 2.969777783e-04);
    frequency(rope, 24, 1.953125e-05);
    frequency(rope, 25, 5.372312671e-06);
    frequency(rope, 31, 5.680529037e-07);
  }

  @Test
  void theTableOfTheQwen3Distill() {
    RopeSpec rope = spec(128, 1e6, yarn(4, 32768, ""));
    frequency(rope, 24, 5.375321491e-03);
    frequency(rope, 31, 8.029597275e-04);
    frequency(rope, 39, 6.490394321e-05);
    frequency(rope, 63, 3.102344402e-07);
    assertThat((double) rope.amplitude()).isCloseTo(1.1386294361, within(1e-7));
  }

  @Test
  void theTableOfTheLlamaDistill() {
    RopeSpec rope =
        spec(
            128,
            5e5,
            """
            {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
             "original_max_position_embeddings": 8192}\
            """);
    frequency(rope, 28, 3.211445995e-03);
    frequency(rope, 29, 2.166570764e-03);
    frequency(rope, 30, 1.371893568e-03);
    frequency(rope, 34, 1.785078128e-04);
    frequency(rope, 40, 3.428102196e-05);
    frequency(rope, 63, 3.068925989e-07);
    assertThat(rope.amplitude()).isEqualTo(1f);
  }

  @Test
  void linearScalingDividesEveryFrequency() {
    RopeSpec rope = spec(8, 1e5, "{\"type\": \"linear\", \"factor\": 4.0}");
    for (int i = 0; i < 4; i++) {
      frequency(rope, i, Math.pow(1e5, -i / 4.0) / 4);
    }
  }

  @Test
  void withoutScalingFrequenciesAreThoseOfThePaper() {
    RopeSpec rope = spec(8, 1e4, "null");
    for (int i = 0; i < 4; i++) {
      frequency(rope, i, Math.pow(10, -i));
    }
  }

  @Test
  void theSoftmaxScaleOfV3IsThatOfItsHeadsTimesTheSquareOfMscaleAllDim() {
    RopeScaling.Yarn v3 = (RopeScaling.Yarn) scaling(V3);
    double scale = RopeFrequencies.softmaxCorrection(v3) / Math.sqrt(192);
    assertThat(scale).isCloseTo(0.1352337788608801, within(1e-12));
    String lite = yarn(40, 4096, ", \"mscale\": 0.707, \"mscale_all_dim\": 0.707");
    double liteScale =
        RopeFrequencies.softmaxCorrection((RopeScaling.Yarn) scaling(lite)) / Math.sqrt(192);
    assertThat(liteScale).isCloseTo(0.1147213867929261, within(1e-12));
    String none = yarn(40, 4096, "");
    assertThat(RopeFrequencies.softmaxCorrection((RopeScaling.Yarn) scaling(none))).isEqualTo(1);
  }

  @Test
  void mscaleAloneChangesTheAmplitudeAndNotTheSoftmax() {
    String json = yarn(40, 4096, ", \"mscale\": 0.707, \"mscale_all_dim\": 1.0");
    RopeScaling.Yarn yarn = (RopeScaling.Yarn) scaling(json);
    assertThat(RopeFrequencies.amplitude(yarn)).isCloseTo(1.2608038 / 1.3688879, within(1e-7));
    assertThat(RopeFrequencies.softmaxCorrection(yarn))
        .isCloseTo(1.3688879 * 1.3688879, within(1e-6));
  }

  @Test
  void anAttentionFactorOfTheFileWins() {
    String json = yarn(40, 4096, ", \"attention_factor\": 1.5");
    assertThat(RopeFrequencies.amplitude((RopeScaling.Yarn) scaling(json))).isEqualTo(1.5);
  }
}
