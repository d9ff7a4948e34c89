package dev.fathom;

import dev.fathom.backend.SamplingParams;
import dev.fathom.engine.BeamOptions;
import dev.fathom.error.InvalidRequestException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a beam search goes together with, and what each of its rows is sampled with. */
final class BeamRules {

  /** Likely tokens that a row can tell of. */
  private static final int MAX_TOP = 20;

  private BeamRules() {}

  /**
   * Returns the search that a request asks for, or null.
   *
   * @param numEndIds tokens that end an answer, stop tokens not counted
   * @throws InvalidRequestException if it goes together with an option that makes no sense there
   */
  static @Nullable BeamOptions beams(GenerationRequest request, int numEndIds) {
    Integer width = request.beams();
    if (width == null) {
      return null;
    }
    conflicts(request)
        .forEach((option, value) -> {
          if (value != null) {
            throw conflict(option, width, value);
          }
        });
    if (request.n() > width) {
      throw Checks.invalid(
          "The request wants more answers than beams",
          "must be n <= beams: n=" + request.n() + " beams=" + width,
          "set beams to at least " + request.n() + ", or n to at most " + width);
    }
    int ends = numEndIds + request.stopTokenIds().size();
    if (width + ends > MAX_TOP) {
      throw Checks.invalid(
          "The request has too many beams for its end and stop tokens",
          "must be beams + ends <= " + MAX_TOP + ": beams=" + width + " ends=" + ends,
          "set beams to at most " + Math.max(1, MAX_TOP - ends) + ", or fewer stopTokenIds");
    }
    return new BeamOptions(width, request.lengthPenalty(), request.topLogprobs());
  }

  /** The options that change what is likely, or need the text while it comes; null where unset. */
  private static Map<String, @Nullable Object> conflicts(GenerationRequest r) {
    Map<String, @Nullable Object> set = new LinkedHashMap<>();
    Float temperature = r.temperature();
    set.put("temperature", temperature != null && temperature != 0 ? temperature : null);
    set.put("topK", r.topK() != null && r.topK() != 0 ? r.topK() : null);
    set.put("topP", r.topP() != null && r.topP() != 1 ? r.topP() : null);
    set.put("minP", r.minP() != null && r.minP() != 0 ? r.minP() : null);
    Float repetition = r.repetitionPenalty();
    set.put("repetitionPenalty", repetition != null && repetition != 1 ? repetition : null);
    set.put("presencePenalty", r.presencePenalty() == 0 ? null : r.presencePenalty());
    set.put("frequencyPenalty", r.frequencyPenalty() == 0 ? null : r.frequencyPenalty());
    set.put("logitBias", r.logitBias().isEmpty() ? null : r.logitBias());
    set.put("processedLogprobs", r.processedLogprobs() ? true : null);
    set.put("minTokens", r.minTokens() == 0 ? null : r.minTokens());
    set.put("stop", r.stop().isEmpty() ? null : r.stop());
    set.put("badWords", r.badWords().isEmpty() ? null : r.badWords());
    set.put("allowedTokenIds", r.allowedTokenIds().isEmpty() ? null : r.allowedTokenIds());
    set.put("thinkingBudget", r.thinkingBudget());
    set.put("noRepeatNgram", r.noRepeatNgram() == 0 ? null : r.noRepeatNgram());
    set.put("endOnRepetition", r.endOnRepetition());
    set.put("logitsProcessors", r.logitsProcessors().isEmpty() ? null : "set");
    set.put("responseFormat", r.responseFormat() == null ? null : "set");
    Speculation speculation = r.speculation();
    set.put(
        "speculation",
        speculation == null || speculation.equals(Speculation.off()) ? null : speculation);
    return set;
  }

  static InvalidRequestException conflict(String option, int width, Object value) {
    return Checks.invalid(
        "A beam search does not go together with " + option,
        "must be left out: beams=" + width + " " + option + "=" + value,
        "leave " + option + " out, or leave beams out");
  }

  /** A stream would have to take tokens back. */
  static void refuseStream(GenerationRequest request) {
    if (request.beams() != null) {
      throw Checks.invalid(
          "A beam search cannot be streamed",
          "must be waited for as a whole: beams=" + request.beams(),
          "call generate or submit, or leave beams out");
    }
  }

  /** Returns what the rows of a search are sampled with, once for each answer. */
  static List<SamplingParams> choices(GenerationRequest request, BeamOptions beams, int numEndIds) {
    int ends = numEndIds + request.stopTokenIds().size();
    int top = Math.max(beams.width() + ends, beams.alternatives());
    SamplingParams greedy = new SamplingParams(0, 0, 1, 0, 1, 0, 0, 0, top, false, null);
    return Collections.nCopies(request.n(), greedy);
  }
}
