package dev.fathom;

import dev.fathom.sampling.LogitsProcessor;
import dev.fathom.sampling.RepetitionGuard;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A prompt and how it is continued. Immutable; made by {@link #of(Prompt)}.
 *
 * <p>Options that are not set (null here) come from the checkpoint's {@code
 * generation_config.json}, else from the library: greedy, no penalties, at most {@value
 * #DEFAULT_MAX_TOKENS} tokens. Each option is checked where it is set; what depends on the model is
 * checked when the request is made.
 */
public final class GenerationRequest {

  /** Tokens that wait for a slow reader where the request does not say. */
  public static final int DEFAULT_STREAM_BUFFER = 512;

  /** Most tokens put out where neither request nor checkpoint says. */
  public static final int DEFAULT_MAX_TOKENS = 1024;

  private final Builder options;

  private GenerationRequest(Builder options) {
    this.options = options;
  }

  /** Starts a request. */
  public static Builder of(Prompt prompt) {
    return new Builder(prompt);
  }

  /** Starts a request that begins as this one. */
  public Builder toBuilder() {
    return new Builder(options);
  }

  /** Returns what is continued. */
  public Prompt prompt() {
    return options.prompt;
  }

  /** Returns the most tokens put out by each choice, or null. */
  public @Nullable Integer maxTokens() {
    return options.maxTokens;
  }

  /** Returns how many tokens must come before an end token or a stop string counts. */
  public int minTokens() {
    return options.minTokens;
  }

  /** Returns the temperature, 0 for greedy, or null. */
  public @Nullable Float temperature() {
    return options.temperature;
  }

  /** Returns how many of the most probable tokens are kept, 0 for all, or null. */
  public @Nullable Integer topK() {
    return options.topK;
  }

  /** Returns the probability that the kept tokens reach, or null. */
  public @Nullable Float topP() {
    return options.topP;
  }

  /** Returns the least probability relative to the best token's, or null. */
  public @Nullable Float minP() {
    return options.minP;
  }

  /** Returns the repetition penalty, or null. */
  public @Nullable Float repetitionPenalty() {
    return options.repetitionPenalty;
  }

  /** Returns the presence penalty. */
  public float presencePenalty() {
    return options.presencePenalty;
  }

  /** Returns the frequency penalty. */
  public float frequencyPenalty() {
    return options.frequencyPenalty;
  }

  /** Returns the seed, or null for one that is drawn. */
  public @Nullable Long seed() {
    return options.seed;
  }

  /** Returns the number of choices. */
  public int n() {
    return options.n;
  }

  /** Returns the stop strings. */
  public List<String> stop() {
    return options.stop;
  }

  /** Returns the stop tokens. */
  public List<Integer> stopTokenIds() {
    return options.stopTokenIds;
  }

  /** Returns whether the model's end tokens are ordinary tokens. */
  public boolean ignoreEos() {
    return options.ignoreEos;
  }

  /** Returns how many alternatives each token carries. */
  public int topLogprobs() {
    return options.topLogprobs;
  }

  /** Returns whether log-probabilities are taken after penalties, temperature and truncation. */
  public boolean processedLogprobs() {
    return options.processedLogprobs;
  }

  /** Returns what the text of the answer must look like, or null. */
  public @Nullable ResponseFormat responseFormat() {
    return options.responseFormat;
  }

  /** Returns what is added to logits, by token id. */
  public Map<Integer, Float> logitBias() {
    return options.logitBias;
  }

  /** Returns how long it may take from submission on, or null. */
  public @Nullable Duration timeout() {
    return options.timeout;
  }

  /** Returns when it ends at the latest, or null. */
  public @Nullable Instant deadline() {
    return options.deadline;
  }

  /** Returns how many tokens wait for a slow reader of the stream before the request sits out. */
  public int streamBuffer() {
    return options.streamBuffer;
  }

  /** Returns the texts that never come in the output. */
  public List<String> badWords() {
    return options.badWords;
  }

  /** Returns the only tokens that may be put out; empty for all. */
  public List<Integer> allowedTokenIds() {
    return options.allowedTokenIds;
  }

  /** Returns after how many tokens reasoning is closed, or null. */
  public @Nullable Integer thinkingBudget() {
    return options.thinkingBudget;
  }

  /** Returns the length of the token runs that never come twice, 0 for none. */
  public int noRepeatNgram() {
    return options.noRepeatNgram;
  }

  /** Returns what ends an output that repeats itself, or null. */
  public @Nullable RepetitionGuard endOnRepetition() {
    return options.endOnRepetition;
  }

  /** Returns the processors of logits, in their order. */
  public List<LogitsProcessor> logitsProcessors() {
    return options.logitsProcessors;
  }

  /** Returns the name of the adapter, or null. */
  public @Nullable String adapter() {
    return options.adapter;
  }

  /** Returns how tokens are guessed ahead, or null for the model's default. */
  public @Nullable Speculation speculation() {
    return options.speculation;
  }

  /** Returns how many beams a search follows, or null where tokens are sampled. */
  public @Nullable Integer beams() {
    return options.beams;
  }

  /** Returns the exponent of the length in the scores of a beam search. */
  public double lengthPenalty() {
    return options.lengthPenalty;
  }

  /** Returns the priority; lower goes first. */
  public int priority() {
    return options.priority;
  }

  /** Returns the tenant, or null. */
  public @Nullable String tenant() {
    return options.tenant;
  }

  /** Collects options. Not thread-safe; may be used again after {@link #build}. */
  public static final class Builder {

    private static final int MAX_N = 128;
    private static final int MAX_BEAMS = 16;
    private static final double MAX_LENGTH_PENALTY = 10;
    private static final int MAX_TOP_LOGPROBS = 20;
    private static final int MAX_STOPS = 16;
    private static final int MAX_STOP_LEN = 256;
    private static final int MAX_STOP_TOKENS = 64;
    private static final int MAX_LOGIT_BIAS = 1024;
    private static final int MAX_BAD_WORDS = 256;
    private static final int MAX_BAD_WORD_LEN = 256;
    private static final int MAX_NGRAM = 256;
    private static final int MAX_STREAM_BUFFER = 1 << 20;

    private final Prompt prompt;
    private @Nullable Integer maxTokens;
    private int minTokens;
    private @Nullable Float temperature;
    private @Nullable Integer topK;
    private @Nullable Float topP;
    private @Nullable Float minP;
    private @Nullable Float repetitionPenalty;
    private float presencePenalty;
    private float frequencyPenalty;
    private @Nullable Long seed;
    private int n = 1;
    private List<String> stop = List.of();
    private List<Integer> stopTokenIds = List.of();
    private boolean ignoreEos;
    private int topLogprobs;
    private boolean processedLogprobs;
    private Map<Integer, Float> logitBias = Map.of();
    private @Nullable Duration timeout;
    private @Nullable Instant deadline;
    private int streamBuffer = DEFAULT_STREAM_BUFFER;
    private List<String> badWords = List.of();
    private List<Integer> allowedTokenIds = List.of();
    private @Nullable Integer thinkingBudget;
    private int noRepeatNgram;
    private @Nullable RepetitionGuard endOnRepetition;
    private List<LogitsProcessor> logitsProcessors = List.of();
    private @Nullable String adapter;
    private @Nullable Speculation speculation;
    private @Nullable ResponseFormat responseFormat;
    private @Nullable Integer beams;
    private double lengthPenalty = 1;
    private int priority;
    private @Nullable String tenant;

    private Builder(Prompt prompt) {
      this.prompt = prompt;
    }

    private Builder(Builder from) {
      this.prompt = from.prompt;
      this.maxTokens = from.maxTokens;
      this.minTokens = from.minTokens;
      this.temperature = from.temperature;
      this.topK = from.topK;
      this.topP = from.topP;
      this.minP = from.minP;
      this.repetitionPenalty = from.repetitionPenalty;
      this.presencePenalty = from.presencePenalty;
      this.frequencyPenalty = from.frequencyPenalty;
      this.seed = from.seed;
      this.n = from.n;
      this.stop = from.stop;
      this.stopTokenIds = from.stopTokenIds;
      this.ignoreEos = from.ignoreEos;
      this.topLogprobs = from.topLogprobs;
      this.processedLogprobs = from.processedLogprobs;
      this.logitBias = from.logitBias;
      this.timeout = from.timeout;
      this.deadline = from.deadline;
      this.streamBuffer = from.streamBuffer;
      this.badWords = from.badWords;
      this.allowedTokenIds = from.allowedTokenIds;
      this.thinkingBudget = from.thinkingBudget;
      this.noRepeatNgram = from.noRepeatNgram;
      this.endOnRepetition = from.endOnRepetition;
      this.logitsProcessors = from.logitsProcessors;
      this.adapter = from.adapter;
      this.speculation = from.speculation;
      this.responseFormat = from.responseFormat;
      this.beams = from.beams;
      this.lengthPenalty = from.lengthPenalty;
      this.priority = from.priority;
      this.tenant = from.tenant;
    }

    /** Ends each choice after so many tokens, at least 1. */
    public Builder maxTokens(int tokens) {
      maxTokens = Checks.inRange("maxTokens", tokens, 1, Integer.MAX_VALUE);
      return this;
    }

    /** Lets end tokens, stop tokens and stop strings count only after so many tokens. */
    public Builder minTokens(int tokens) {
      minTokens = Checks.inRange("minTokens", tokens, 0, Integer.MAX_VALUE);
      return this;
    }

    /** Divides logits by a number in [0, 2]; 0 takes the most probable token. */
    public Builder temperature(double value) {
      temperature = Checks.inRange("temperature", value, 0, 2);
      return this;
    }

    /** Keeps the k most probable tokens; 0 keeps all. */
    public Builder topK(int k) {
      topK = Checks.inRange("topK", k, 0, Integer.MAX_VALUE);
      return this;
    }

    /** Keeps the smallest set of tokens whose probability reaches a number in (0, 1]. */
    public Builder topP(double p) {
      topP = Checks.above("topP", p, 0, 1);
      return this;
    }

    /** Drops tokens less probable than a number in [0, 1] times the best. */
    public Builder minP(double p) {
      minP = Checks.inRange("minP", p, 0, 1);
      return this;
    }

    /** Divides positive and multiplies negative logits of seen tokens by a number in (0, 10]. */
    public Builder repetitionPenalty(double penalty) {
      repetitionPenalty = Checks.above("repetitionPenalty", penalty, 0, 10);
      return this;
    }

    /** Subtracts a number in [-2, 2] from logits of tokens that were put out. */
    public Builder presencePenalty(double penalty) {
      presencePenalty = Checks.inRange("presencePenalty", penalty, -2, 2);
      return this;
    }

    /** Subtracts a number in [-2, 2] from logits for each time a token was put out. */
    public Builder frequencyPenalty(double penalty) {
      frequencyPenalty = Checks.inRange("frequencyPenalty", penalty, -2, 2);
      return this;
    }

    /**
     * Sets who goes first where not all fit: lower numbers before higher, 0 if not set; equal ones
     * in the order in which they came. A later request of a lower number may take the cache of one
     * of a higher, which then computes again; results do not depend on it.
     */
    public Builder priority(int value) {
      priority = value;
      return this;
    }

    /**
     * Names whose request this is. Requests reuse cached prefixes of the same tenant only, so that
     * nobody can tell by its speed what another asked. Null, the default, is a tenant of its own.
     */
    public Builder tenant(@Nullable String name) {
      tenant = name;
      return this;
    }

    /** Makes random choices repeatable. */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /**
     * Searches for the most probable answers instead of sampling: follows 1 to {@value #MAX_BEAMS}
     * beginnings at once and returns the n best answers found, best first. Does not go together
     * with options of sampling, penalties, texts that end or shape the answer, or a stream. Where
     * it is cancelled or late, there is no answer.
     */
    public Builder beams(int width) {
      beams = Checks.inRange("beams", width, 1, MAX_BEAMS);
      return this;
    }

    /**
     * Sets what the beam search divides by: an answer's sum of log-probabilities by its number of
     * tokens to this power. 1 by default; more prefers long answers, 0 compares the sums.
     */
    public Builder lengthPenalty(double exponent) {
      lengthPenalty =
          Checks.inRange("lengthPenalty", exponent, -MAX_LENGTH_PENALTY, MAX_LENGTH_PENALTY);
      return this;
    }

    /** Asks for 1 to {@value #MAX_N} choices. */
    public Builder n(int choices) {
      n = Checks.inRange("n", choices, 1, MAX_N);
      return this;
    }

    /**
     * Ends a choice before any of these texts, of which none is put out; at most {@value
     * #MAX_STOPS} of 1 to {@value #MAX_STOP_LEN} characters. They are looked for in reasoning and
     * answer alike.
     */
    public Builder stop(String... texts) {
      Checks.inRange("stop.size", texts.length, 0, MAX_STOPS);
      for (String text : texts) {
        Checks.inRange("stop.length", text.length(), 1, MAX_STOP_LEN);
      }
      stop = List.of(texts);
      return this;
    }

    /** Ends a choice at any of these tokens, whose text is not put out. */
    public Builder stopTokenIds(int... ids) {
      Checks.inRange("stopTokenIds.size", ids.length, 0, MAX_STOP_TOKENS);
      List<Integer> copy = new ArrayList<>();
      for (int id : ids) {
        copy.add(Checks.inRange("stopTokenIds", id, 0, Integer.MAX_VALUE));
      }
      stopTokenIds = List.copyOf(copy);
      return this;
    }

    /** Treats the model's end tokens as ordinary ones. */
    public Builder ignoreEos(boolean ignore) {
      ignoreEos = ignore;
      return this;
    }

    /** Gives each token 0 to {@value #MAX_TOP_LOGPROBS} alternatives. */
    public Builder topLogprobs(int count) {
      topLogprobs = Checks.inRange("topLogprobs", count, 0, MAX_TOP_LOGPROBS);
      return this;
    }

    /** Takes log-probabilities after penalties, temperature and truncation. */
    public Builder processedLogprobs(boolean processed) {
      processedLogprobs = processed;
      return this;
    }

    /**
     * Holds the text of the answer to a format; null for any text. Leave {@link #minTokens} at 0
     * and {@link #ignoreEos} off with it: a format says itself where it may end.
     */
    public Builder responseFormat(@Nullable ResponseFormat format) {
      responseFormat = format;
      return this;
    }

    /** Adds numbers in [-100, 100] to logits, for at most {@value #MAX_LOGIT_BIAS} tokens. */
    public Builder logitBias(Map<Integer, Float> bias) {
      Checks.inRange("logitBias.size", bias.size(), 0, MAX_LOGIT_BIAS);
      Map<Integer, Float> copy = new LinkedHashMap<>();
      bias.forEach((id, value) ->
          copy.put(
              Checks.inRange("logitBias.token", id, 0, Integer.MAX_VALUE),
              Checks.inRange("logitBias", value, -100, 100)));
      logitBias = Map.copyOf(copy);
      return this;
    }

    /**
     * Ends the generation with {@link FinishReason#DEADLINE} so long after it was submitted,
     * waiting included; what came before is kept.
     */
    public Builder timeout(Duration duration) {
      if (!duration.isPositive()) {
        throw Checks.outOfRange("timeout", "> 0", duration.toString());
      }
      timeout = duration;
      return this;
    }

    /** Ends the generation at this time, as {@link #timeout} does; whichever is first counts. */
    public Builder deadline(Instant latest) {
      deadline = latest;
      return this;
    }

    /**
     * Bounds the tokens that wait for a slow reader of the stream, 1 to {@value #MAX_STREAM_BUFFER}
     * (n choices may each add one more): then the request sits out until half of them were taken,
     * while others go on; it keeps its place unless somebody waits for one.
     */
    public Builder streamBuffer(int tokens) {
      streamBuffer = Checks.inRange("streamBuffer", tokens, 1, MAX_STREAM_BUFFER);
      return this;
    }

    /**
     * Keeps texts out of reasoning and answer, however they would be cut into tokens; at most
     * {@value #MAX_BAD_WORDS} of 1 to {@value #MAX_BAD_WORD_LEN} characters. Upper and lower case
     * differ, and a text inside a longer word counts.
     */
    public Builder badWords(String... texts) {
      Checks.inRange("badWords.size", texts.length, 0, MAX_BAD_WORDS);
      for (String text : texts) {
        Checks.inRange("badWords.length", text.length(), 1, MAX_BAD_WORD_LEN);
      }
      badWords = List.of(texts);
      return this;
    }

    /** Allows no token but these; end tokens are not allowed unless they are among them. */
    public Builder allowedTokenIds(int... ids) {
      List<Integer> copy = new ArrayList<>();
      for (int id : ids) {
        copy.add(Checks.inRange("allowedTokenIds", id, 0, Integer.MAX_VALUE));
      }
      allowedTokenIds = List.copyOf(copy);
      return this;
    }

    /** Closes reasoning after so many tokens, at least 0, by forcing its end mark. */
    public Builder thinkingBudget(int tokens) {
      thinkingBudget = Checks.inRange("thinkingBudget", tokens, 0, Integer.MAX_VALUE);
      return this;
    }

    /** Lets no run of n tokens come twice in the output, 2 to {@value #MAX_NGRAM}; 0 lets all. */
    public Builder noRepeatNgram(int n) {
      noRepeatNgram = n == 0 ? 0 : Checks.inRange("noRepeatNgram", n, 2, MAX_NGRAM);
      return this;
    }

    /** Ends a choice with {@link FinishReason#REPETITION} where its output repeats itself. */
    public Builder endOnRepetition(@Nullable RepetitionGuard guard) {
      endOnRepetition = guard;
      return this;
    }

    /** Changes logits before tokens are drawn; see {@link LogitsProcessor}. */
    public Builder logitsProcessors(LogitsProcessor... processors) {
      logitsProcessors = List.of(processors);
      return this;
    }

    /**
     * Runs the request with a LoRA adapter that the model has loaded, or with none for null; which
     * are loaded is checked when the request is made.
     */
    public Builder adapter(@Nullable String name) {
      adapter = name == null ? null : Checks.adapterName(name);
      return this;
    }

    /**
     * Sets how tokens are guessed ahead, which changes how fast but never what is put out. By
     * default as the model was loaded; {@link Speculation#mtp} needs a model that was loaded with
     * it.
     */
    public Builder speculation(Speculation how) {
      speculation = how;
      return this;
    }

    /**
     * Returns the request.
     *
     * @throws dev.fathom.error.InvalidRequestException if minTokens is above maxTokens, or given
     *     with a response format
     */
    public GenerationRequest build() {
      if (maxTokens != null) {
        Checks.inRange("minTokens", minTokens, 0, maxTokens);
      }
      if (responseFormat != null) {
        Checks.inRange("minTokens with a responseFormat", minTokens, 0, 0);
      }
      return new GenerationRequest(new Builder(this));
    }
  }
}
