package dev.fathom;

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

  /** Returns what is added to logits, by token id. */
  public Map<Integer, Float> logitBias() {
    return options.logitBias;
  }

  /** Collects options. Not thread-safe; may be used again after {@link #build}. */
  public static final class Builder {

    private static final int MAX_N = 128;
    private static final int MAX_TOP_LOGPROBS = 20;
    private static final int MAX_STOPS = 16;
    private static final int MAX_STOP_LEN = 256;
    private static final int MAX_STOP_TOKENS = 64;
    private static final int MAX_LOGIT_BIAS = 1024;

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

    /** Makes random choices repeatable. */
    public Builder seed(long value) {
      seed = value;
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
     * Returns the request.
     *
     * @throws dev.fathom.error.InvalidRequestException if minTokens is above maxTokens
     */
    public GenerationRequest build() {
      if (maxTokens != null) {
        Checks.inRange("minTokens", minTokens, 0, maxTokens);
      }
      return new GenerationRequest(new Builder(this));
    }
  }
}
