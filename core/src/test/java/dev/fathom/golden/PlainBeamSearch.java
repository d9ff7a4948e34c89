package dev.fathom.golden;

import dev.fathom.sampling.HostSampler;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * Beam search as it is defined, without anything that makes it fast: every beam is computed from
 * its first token, every token of the vocabulary is looked at, and nothing ends early.
 */
public final class PlainBeamSearch {

  /** Gives the log-probabilities of the token behind some tokens. */
  @FunctionalInterface
  public interface Model {
    /** Returns one for each token of the vocabulary. */
    float[] logprobs(int[] tokens);
  }

  /**
   * An answer.
   *
   * @param tokens without the prompt
   * @param logprobs of the tokens
   * @param score what answers are ordered by
   * @param ended whether its last token is an end token
   */
  public record Answer(int[] tokens, float[] logprobs, double score, boolean ended) {}

  private record Beam(int[] tokens, float[] logprobs, double sum) {

    Beam with(int token, float logprob) {
      int[] moreTokens = Arrays.copyOf(tokens, tokens.length + 1);
      float[] moreLogprobs = Arrays.copyOf(logprobs, tokens.length + 1);
      moreTokens[tokens.length] = token;
      moreLogprobs[tokens.length] = logprob;
      return new Beam(moreTokens, moreLogprobs, sum + logprob);
    }

    Answer answer(double lengthPenalty, boolean ended) {
      return new Answer(tokens, logprobs, sum / Math.pow(tokens.length, lengthPenalty), ended);
    }
  }

  private PlainBeamSearch() {}

  /** Returns log-probabilities as a row of a step tells them. */
  public static float[] logprobs(float[] logits, int offset, int vocabSize) {
    double logSum = HostSampler.logSumExp(logits, offset, vocabSize);
    float[] logprobs = new float[vocabSize];
    for (int i = 0; i < vocabSize; i++) {
      logprobs[i] = (float) (logits[offset + i] - logSum);
    }
    return logprobs;
  }

  /** Returns all answers that a search finds, best first. */
  public static List<Answer> search(
      Model model, int[] prompt, int width, double lengthPenalty, int maxTokens, int[] ends) {
    List<Answer> answers = new ArrayList<>();
    List<Beam> beams = List.of(new Beam(new int[0], new float[0], 0));
    for (int step = 1; step <= maxTokens; step++) {
      List<Beam> all = new ArrayList<>();
      for (Beam beam : beams) {
        int[] tokens = Arrays.copyOf(prompt, prompt.length + beam.tokens().length);
        System.arraycopy(beam.tokens(), 0, tokens, prompt.length, beam.tokens().length);
        float[] logprobs = model.logprobs(tokens);
        for (int token = 0; token < logprobs.length; token++) {
          all.add(beam.with(token, logprobs[token]));
        }
      }
      // Stable: of equal ones the better beam comes first, then the lower id.
      all.sort(Comparator.comparingDouble(Beam::sum).reversed());
      List<Beam> next = new ArrayList<>();
      for (int i = 0; i < all.size() && next.size() < width; i++) {
        Beam beam = all.get(i);
        int token = beam.tokens()[step - 1];
        if (Arrays.stream(ends).anyMatch(end -> end == token)) {
          answers.add(beam.answer(lengthPenalty, true));
        } else {
          next.add(beam);
        }
      }
      beams = next;
    }
    beams.forEach(beam -> answers.add(beam.answer(lengthPenalty, false)));
    answers.sort(Comparator.comparingDouble(Answer::score).reversed());
    return answers;
  }
}
