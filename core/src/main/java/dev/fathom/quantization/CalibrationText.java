package dev.fathom.quantization;

import java.util.List;

/**
 * What a calibration runs the model on: given texts, or texts that the model writes by itself from
 * the begin token on, which are spread as its training text was and need no data.
 *
 * @param texts control tokens written out; empty for the model's own
 * @param ownTexts how many the model writes where none are given, 1 to 65536
 * @param samples most activation vectors that are kept for each linear input, 1 to 65536
 */
public record CalibrationText(List<String> texts, int ownTexts, int samples) {

  /** Default number of texts that the model writes. */
  public static final int OWN_TEXTS = 256;

  /** Default number of activation vectors. */
  public static final int SAMPLES = 2048;

  /** The model's own texts. */
  public static final CalibrationText OWN = new CalibrationText(List.of(), OWN_TEXTS, SAMPLES);

  private static final int MOST = 1 << 16;

  /**
   * Checks and copies.
   *
   * @throws dev.fathom.error.InvalidRequestException naming the rule and the value
   */
  public CalibrationText {
    texts = List.copyOf(texts);
    if (ownTexts < 1 || ownTexts > MOST) {
      throw QuantizationRecipe.invalid("must be in [1, 65536]", "ownTexts", ownTexts);
    }
    if (samples < 1 || samples > MOST) {
      throw QuantizationRecipe.invalid("must be in [1, 65536]", "samples", samples);
    }
  }

  /** These texts. */
  public static CalibrationText of(List<String> texts) {
    return new CalibrationText(texts, OWN_TEXTS, SAMPLES);
  }

  /** Returns a copy with another number of own texts. */
  public CalibrationText ownTexts(int count) {
    return new CalibrationText(texts, count, samples);
  }

  /** Returns a copy with another number of samples. */
  public CalibrationText samples(int most) {
    return new CalibrationText(texts, ownTexts, most);
  }

  /** How many texts of which kind. */
  @Override
  public String toString() {
    return texts.isEmpty() ? ownTexts + " own" : texts.size() + " given";
  }
}
