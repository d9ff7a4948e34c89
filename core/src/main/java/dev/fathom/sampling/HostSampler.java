package dev.fathom.sampling;

import dev.fathom.backend.RowProcessor;
import dev.fathom.backend.RowSampler;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.TokenCounts;

/**
 * Samples rows on the host: a pure function of logits, parameters, seed and position.
 *
 * <p>In order: logit bias; repetition penalty (positive logits of seen tokens are divided by it,
 * others multiplied), presence and frequency penalty; mask; then with temperature 0 the largest
 * logit, lowest id on ties, else the weights exp((logit - max) / temperature), top-k, top-p over
 * what top-k left, min-p, and the first token in the order of ids whose cumulative weight exceeds u
 * times their sum, u from {@link CounterRandom}. Tokens whose weight is below e^-{@value
 * #MAX_EXPONENT} of the best are never drawn: a million rows would not tell.
 *
 * <p>Log-probabilities are natural and those of the logits as they came, unless the row asks for
 * processed ones: after all of the above, where temperature 0 counts as 1. Sums run in float64 in a
 * fixed order.
 *
 * <p>NaN counts as -infinity and +infinity as the largest float. A row without a finite logit gets
 * {@link #NOT_FINITE} as token, one whose tokens are all forbidden {@link #NONE_ALLOWED}: such a
 * row fails, its neighbours do not.
 *
 * <p>Buffers grow to the largest vocabulary seen; then nothing is allocated. One thread.
 */
public final class HostSampler implements RowSampler {

  /** Token of a row that has no finite logit. */
  public static final int NOT_FINITE = -1;

  /** Token of a row whose mask, or bias of -infinity, leaves nothing. */
  public static final int NONE_ALLOWED = -2;

  private static final int MAX_TOP = 20;
  private static final int MAX_EXPONENT = 40;

  /** Logits of a loop: the maximum of so many is known before the place where it lies. */
  private static final int CHUNK = 1024;

  private static final double LEAST_EXPONENT = -80;

  private final Truncation truncation = new Truncation();
  private final TopTokens top = new TopTokens(MAX_TOP);
  private final double[] exponentials = new double[CHUNK];
  private float[] raw = new float[0];
  private double[] weight = new double[0];
  private int[] id = new int[0];
  private int numCandidates;

  /** Creates a sampler without buffers. */
  public HostSampler() {}

  @Override
  public void sample(
      SamplingRows rows, int row, float[] logits, int offset, int vocabSize, SampledRows out) {
    SamplingParams params = rows.params(row);
    top.reset(Math.min(params.topLogprobs(), out.maxTop()));
    boolean isReduced = rows.isReduced(row);
    if (!isReduced && !replaceNotFinite(logits, offset, vocabSize)) {
      out.set(row, NOT_FINITE, Float.NaN);
      return;
    }
    boolean adjusts = adjusts(rows, row);
    if (params.processedLogprobs()) {
      adjust(rows, row, logits, offset, vocabSize);
      sampleProcessed(rows, row, logits, offset, vocabSize, out);
      return;
    }
    double rawLogSum =
        isReduced ? rows.logSumExp(row) : logSumExp(logits, offset, vocabSize, exponentials);
    offerAll(logits, offset, vocabSize);
    float[] original = logits;
    int originalOffset = offset;
    if (adjusts) {
      grow(vocabSize);
      System.arraycopy(logits, offset, raw, 0, vocabSize);
      original = raw;
      originalOffset = 0;
      adjust(rows, row, logits, offset, vocabSize);
    }
    int best = isReduced && !adjusts ? rows.best(row) : argmax(logits, offset, vocabSize);
    int token = choose(params, rows.position(row), best, logits, offset, vocabSize);
    if (token < 0) {
      out.set(row, token, Float.NaN);
      return;
    }
    out.set(row, token, (float) (original[originalOffset + token] - rawLogSum));
    for (int i = 0; i < top.size(); i++) {
      out.addTop(row, top.id(i), (float) (top.value(i) - rawLogSum));
    }
  }

  @Override
  public boolean changes(SamplingRows rows, int row) {
    return adjusts(rows, row);
  }

  private void sampleProcessed(
      SamplingRows rows, int row, float[] logits, int offset, int vocabSize, SampledRows out) {
    SamplingParams params = rows.params(row);
    int best = argmax(logits, offset, vocabSize);
    int token = choose(params, rows.position(row), best, logits, offset, vocabSize);
    if (token < 0) {
      out.set(row, token, Float.NaN);
      return;
    }
    if (params.temperature() == 0) {
      double logSum = logSumExp(logits, offset, vocabSize, exponentials);
      offerAll(logits, offset, vocabSize);
      out.set(row, token, (float) (logits[offset + token] - logSum));
      for (int i = 0; i < top.size(); i++) {
        out.addTop(row, top.id(i), (float) (top.value(i) - logSum));
      }
      return;
    }
    double sum = 0;
    double chosen = 0;
    for (int c = 0; c < numCandidates; c++) {
      sum += weight[c];
      chosen = id[c] == token ? weight[c] : chosen;
      top.offer(id[c], weight[c]);
    }
    out.set(row, token, (float) Math.log(chosen / sum));
    for (int i = 0; i < top.size(); i++) {
      out.addTop(row, top.id(i), (float) Math.log(top.value(i) / sum));
    }
  }

  /** Returns whether any logit is finite. */
  private static boolean replaceNotFinite(float[] logits, int offset, int vocabSize) {
    if (areFinite(logits, offset, vocabSize)) {
      return vocabSize > 0;
    }
    boolean anyFinite = false;
    for (int i = offset; i < offset + vocabSize; i++) {
      float logit = logits[i];
      if (Math.abs(logit) <= Float.MAX_VALUE) {
        anyFinite = true;
      } else {
        logits[i] = logit == Float.POSITIVE_INFINITY ? Float.MAX_VALUE : Float.NEGATIVE_INFINITY;
      }
    }
    return anyFinite;
  }

  /** A loop without branches, which the compiler turns into vectors. */
  private static boolean areFinite(float[] logits, int offset, int vocabSize) {
    float largest = 0;
    for (int i = offset; i < offset + vocabSize; i++) {
      largest = Math.max(largest, Math.abs(logits[i]));
    }
    // A maximum with a NaN is NaN.
    return largest <= Float.MAX_VALUE;
  }

  private static boolean adjusts(SamplingRows rows, int row) {
    return rows.params(row).logitBias() != null
        || rows.counts(row) != null
        || rows.processor(row) != null
        || rows.mask(row) != null;
  }

  private static void adjust(
      SamplingRows rows, int row, float[] logits, int offset, int vocabSize) {
    SamplingParams params = rows.params(row);
    SamplingParams.LogitBias bias = params.logitBias();
    if (bias != null) {
      for (int i = 0; i < bias.token().length; i++) {
        logits[offset + bias.token()[i]] += bias.bias()[i];
      }
    }
    TokenCounts counts = rows.counts(row);
    if (counts != null) {
      penalize(params, counts, logits, offset);
    }
    RowProcessor processor = rows.processor(row);
    if (processor != null) {
      processor.process(logits, offset, vocabSize);
      replaceNotFinite(logits, offset, vocabSize);
    }
    long[] mask = rows.mask(row);
    if (mask != null) {
      forbid(mask, logits, offset, vocabSize);
    }
  }

  private static void penalize(
      SamplingParams params, TokenCounts counts, float[] logits, int offset) {
    float repetition = params.repetitionPenalty();
    for (int entry = 0; entry < counts.capacity(); entry++) {
      int token = counts.tokenAt(entry);
      if (token < 0) {
        continue;
      }
      float logit = logits[offset + token];
      logit = logit > 0 ? logit / repetition : logit * repetition;
      int outputCount = counts.outputCountAt(entry);
      if (outputCount > 0) {
        logit -= params.presencePenalty() + params.frequencyPenalty() * outputCount;
      }
      logits[offset + token] = logit;
    }
  }

  private static void forbid(long[] mask, float[] logits, int offset, int vocabSize) {
    int covered = Math.min(mask.length, Math.ceilDiv(vocabSize, Long.SIZE));
    for (int word = 0; word < covered; word++) {
      int first = word * Long.SIZE;
      long forbidden = ~mask[word];
      while (forbidden != 0) {
        int i = first + Long.numberOfTrailingZeros(forbidden);
        if (i < vocabSize) {
          logits[offset + i] = Float.NEGATIVE_INFINITY;
        }
        forbidden &= forbidden - 1;
      }
    }
    for (int i = covered * Long.SIZE; i < vocabSize; i++) {
      logits[offset + i] = Float.NEGATIVE_INFINITY;
    }
  }

  /** Returns the token, or {@link #NONE_ALLOWED}; {@code best} is one with the largest logit. */
  private int choose(
      SamplingParams params, long position, int best, float[] logits, int offset, int vocabSize) {
    if (logits[offset + best] == Float.NEGATIVE_INFINITY) {
      return NONE_ALLOWED;
    }
    if (params.temperature() == 0) {
      return best;
    }
    weigh(params.temperature(), logits[offset + best], logits, offset, vocabSize);
    truncate(params);
    return draw(CounterRandom.uniform(params.seed(), position));
  }

  /** Returns the first of the largest logits, which are no NaNs. */
  private static int argmax(float[] logits, int offset, int vocabSize) {
    int first = 0;
    float best = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < vocabSize; i += CHUNK) {
      float max = max(logits, offset + i, offset + Math.min(vocabSize, i + CHUNK));
      if (max > best) {
        best = max;
        first = i;
      }
    }
    while (first < vocabSize - 1 && logits[offset + first] != best) {
      first++;
    }
    return first;
  }

  private static float max(float[] logits, int from, int to) {
    float max = Float.NEGATIVE_INFINITY;
    for (int i = from; i < to; i++) {
      max = Math.max(max, logits[i]);
    }
    return max;
  }

  private void weigh(float temperature, float max, float[] logits, int offset, int vocabSize) {
    grow(vocabSize);
    int n = 0;
    for (int i = 0; i < vocabSize; i++) {
      double exponent = ((double) logits[offset + i] - max) / temperature;
      if (exponent > -MAX_EXPONENT) {
        id[n] = i;
        weight[n++] = Math.exp(exponent);
      }
    }
    numCandidates = n;
  }

  private void truncate(SamplingParams params) {
    boolean limitsK = params.topK() > 0 && params.topK() < numCandidates;
    boolean limitsP = params.topP() < 1;
    if (!limitsK && !limitsP && params.minP() == 0) {
      return;
    }
    truncation.start(weight, numCandidates);
    if (limitsK) {
      truncation.topK(params.topK());
    }
    if (limitsP) {
      truncation.topP(params.topP());
    }
    int n = 0;
    for (int c = 0; c < numCandidates; c++) {
      if (truncation.keeps(c) && weight[c] >= params.minP()) {
        id[n] = id[c];
        weight[n++] = weight[c];
      }
    }
    numCandidates = n;
  }

  private int draw(double u) {
    double sum = 0;
    for (int c = 0; c < numCandidates; c++) {
      sum += weight[c];
    }
    double wanted = u * sum;
    double cumulative = 0;
    for (int c = 0; c < numCandidates; c++) {
      cumulative += weight[c];
      if (cumulative > wanted) {
        return id[c];
      }
    }
    return id[numCandidates - 1];
  }

  private void offerAll(float[] logits, int offset, int vocabSize) {
    if (top.isWanted()) {
      for (int i = 0; i < vocabSize; i++) {
        top.offer(i, logits[offset + i]);
      }
    }
  }

  /** Returns the log of the sum of exp, in float64. */
  public static double logSumExp(float[] logits, int offset, int vocabSize) {
    return logSumExp(logits, offset, vocabSize, new double[CHUNK]);
  }

  private static double logSumExp(float[] logits, int offset, int vocabSize, double[] part) {
    float max = logits[offset + argmax(logits, offset, vocabSize)];
    double sum = 0;
    for (int i = 0; i < vocabSize; i += CHUNK) {
      int n = Math.min(CHUNK, vocabSize - i);
      exponentials(logits, offset + i, n, max, part);
      sum += sum(part, n);
    }
    return max + Math.log(sum);
  }

  /** Four sums, which do not wait for each other. */
  private static double sum(double[] part, int n) {
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    int body = n & -4;
    for (int i = 0; i < body; i += 4) {
      a += part[i];
      b += part[i + 1];
      c += part[i + 2];
      d += part[i + 3];
    }
    for (int i = body; i < n; i++) {
      a += part[i];
    }
    return (a + b) + (c + d);
  }

  /**
   * Writes e^(logit - max) with a relative error below 10^-12, what is below e^-80 as e^-80: as the
   * 1024th power of e^(x / 1024), which takes no integers or branches, so that the compiler turns
   * the loop into vectors. With the last factor in a local variable JDK 25 did not, at a third of
   * the speed.
   */
  private static void exponentials(float[] logits, int from, int n, double max, double[] out) {
    for (int i = 0; i < n; i++) {
      double r = Math.max(logits[from + i] - max, LEAST_EXPONENT) * (1.0 / 1024);
      double r2 = r * r;
      double p =
          (1 + r)
              + r2 * (0.5 + r * (1.0 / 6))
              + r2 * r2 * (1.0 / 24 + r * (1.0 / 120) + r2 * (1.0 / 720 + r * (1.0 / 5040)));
      p *= p;
      p *= p;
      p *= p;
      p *= p;
      p *= p;
      p *= p;
      p *= p;
      p *= p;
      p *= p;
      p *= p;
      out[i] = p;
    }
  }

  private void grow(int vocabSize) {
    if (raw.length < vocabSize) {
      raw = new float[vocabSize];
      weight = new double[vocabSize];
      id = new int[vocabSize];
    }
  }
}
