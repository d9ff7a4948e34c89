package dev.fathom;

import dev.fathom.backend.Backend;
import dev.fathom.engine.Engine;
import dev.fathom.engine.EngineRequest;
import dev.fathom.engine.RequestListener;
import dev.fathom.engine.RequestOutcome;
import dev.fathom.engine.TokenEvent;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.quant.WeightFormat;
import dev.fathom.sampling.HostSampler;
import dev.fathom.text.ChatMessage;
import dev.fathom.text.Tokenizer;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A loaded model: generates text, streams it, and says what it runs on.
 *
 * <p>Any number of threads may call at once; their requests run together on one engine thread. What
 * it waits for may be interrupted, which cancels the generation. Closing fails what runs, stops the
 * thread and frees all memory; it is idempotent.
 */
public final class DeepSeekModel implements AutoCloseable {

  private final Engine engine;
  private final Backend backend;
  private final Arena weights;
  private final ModelText text;
  private final RequestReader reader;
  private final Diagnostics diagnostics;
  private final Deliveries deliveries = new Deliveries();
  private final Object closing = new Object();

  DeepSeekModel(
      Engine engine,
      Backend backend,
      Arena weights,
      ModelText text,
      RequestReader reader,
      Diagnostics diagnostics) {
    this.engine = engine;
    this.backend = backend;
    this.weights = weights;
    this.text = text;
    this.reader = reader;
    this.diagnostics = diagnostics;
  }

  /**
   * Loads a checkpoint with the default options.
   *
   * @param path folder with config.json, tokenizer.json and safetensors files
   * @throws dev.fathom.error.FathomException if the files, the configuration, the memory or the
   *     backends do not allow it
   */
  public static DeepSeekModel load(Path path) {
    return builder(path).load();
  }

  /** Starts to set options for loading a checkpoint. */
  public static Builder builder(Path path) {
    return new Builder(path);
  }

  /**
   * Computes what a model needs and whether that is available, from headers alone.
   *
   * @throws dev.fathom.error.FathomException if the files, the configuration or the backends do not
   *     allow the model, whatever the memory
   */
  public static MemoryPlan plan(Path path, LoadOptions options) {
    return ModelLoader.plan(path, options);
  }

  /** Continues raw text: the beginning-of-sentence token, then the text. */
  public Generation generate(String prompt) {
    return generate(GenerationRequest.of(Prompt.text(prompt)).build());
  }

  /** Answers a message of a user, without thinking and tools. */
  public Generation chat(String message) {
    return generate(GenerationRequest.of(Prompt.chat(ChatMessage.user(message))).build());
  }

  /**
   * Generates and waits for the result.
   *
   * @throws InvalidRequestException if an option is out of its range or the prompt too long
   * @throws dev.fathom.error.GenerationException if it failed, the model was closed, too many
   *     requests wait, or this thread was interrupted
   */
  public Generation generate(GenerationRequest request) {
    LiveGeneration live = new LiveGeneration(false);
    live.startedAs(engine.submit(reader.read(request), live));
    return live.resultOrThrow();
  }

  /**
   * Generates and hands out the tokens as they come. Closing the stream cancels.
   *
   * @throws InvalidRequestException as {@link #generate(GenerationRequest)}
   */
  public TokenStream stream(GenerationRequest request) {
    LiveGeneration live = new LiveGeneration(true);
    live.startedAs(engine.submit(reader.read(request), live));
    return live;
  }

  /**
   * Generates in the background. Cancelling the future cancels the generation; it completes on a
   * thread of its own, so that what is chained to it cannot hold the engine up.
   *
   * @throws InvalidRequestException as {@link #generate(GenerationRequest)}
   */
  public CompletableFuture<Generation> submit(GenerationRequest request) {
    EngineRequest read = reader.read(request);
    GenerationFuture future = new GenerationFuture();
    future.startedAs(engine.submit(read, new FutureListener(future)));
    return future;
  }

  private final class FutureListener implements RequestListener {

    private final GenerationFuture future;

    FutureListener(GenerationFuture future) {
      this.future = future;
    }

    @Override
    public void onToken(TokenEvent event) {
      // The outcome has all tokens.
    }

    @Override
    public void onEnd(RequestOutcome outcome) {
      deliveries.deliver(() -> {
        if (outcome.failure() != null) {
          future.completeExceptionally(outcome.failure());
        } else {
          future.complete(LiveGeneration.generation(outcome));
        }
      });
    }
  }

  /** Returns the token ids of a prompt, as a generation would use them. */
  public int[] encode(Prompt prompt) {
    return reader.encode(prompt);
  }

  /**
   * Computes the logits of every position of a sequence, through the engine and its paged cache.
   *
   * @param ids 1 to contextTokens tokens
   * @param chunk positions computed in a step, 1 to {@link Diagnostics#maxLogitsChunk()}; the
   *     logits do not depend on it
   * @param consumer takes them in the order of positions, on this thread
   */
  public void logits(int[] ids, int chunk, LogitsConsumer consumer) {
    Checks.inRange("ids.length", ids.length, 1, engine.options().contextTokens());
    Checks.inRange("chunk", chunk, 1, engine.options().maxRows());
    reader.checkIds("ids", ids);
    engine.logits(ids, chunk, consumer::accept);
  }

  /**
   * Measures how well the model predicts each token after the first.
   *
   * @param ids 2 to contextTokens tokens
   * @param chunk as in {@link #logits}
   */
  public Perplexity perplexity(int[] ids, int chunk) {
    Checks.inRange("ids.length", ids.length, 2, engine.options().contextTokens());
    int[] context = Arrays.copyOf(ids, ids.length - 1);
    reader.checkIds("ids", ids);
    double[] sum = new double[1];
    logits(
        context,
        chunk,
        (position, logits, offset, vocabSize) -> {
          double logSum = HostSampler.logSumExp(logits, offset, vocabSize);
          sum[0] += logSum - logits[offset + ids[position + 1]];
        });
    return new Perplexity(context.length, sum[0]);
  }

  /** Returns what the model runs on. */
  public Diagnostics diagnostics() {
    return diagnostics;
  }

  /** Returns the tokenizer. */
  public Tokenizer tokenizer() {
    return text.tokenizer();
  }

  /** Returns the KV blocks in use, as of the last step; 0 when nothing runs. */
  public int usedKvBlocks() {
    return engine.usedBlocks();
  }

  @Override
  public void close() {
    synchronized (closing) {
      engine.close();
      deliveries.close();
      backend.close();
      if (weights.scope().isAlive()) {
        weights.close();
      }
    }
  }

  /** Collects options for loading. Not thread-safe. */
  public static final class Builder {

    private final Path path;
    private LoadOptions options = LoadOptions.defaults();
    private @Nullable LoadListener listener;

    private Builder(Path path) {
      this.path = path;
    }

    /** Replaces all options. */
    public Builder options(LoadOptions all) {
      options = all;
      return this;
    }

    /** See {@link LoadOptions#backend(String)}. */
    public Builder backend(String name) {
      return options(options.backend(name));
    }

    /** See {@link LoadOptions#weights(WeightFormat)}. */
    public Builder weights(WeightFormat format) {
      return options(options.weights(format));
    }

    /** See {@link LoadOptions#kvCache(KvFormat)}. */
    public Builder kvCache(KvFormat format) {
      return options(options.kvCache(format));
    }

    /** See {@link LoadOptions#contextTokens(int)}. */
    public Builder contextTokens(int tokens) {
      return options(options.contextTokens(tokens));
    }

    /** See {@link LoadOptions#maxSequences(int)}. */
    public Builder maxSequences(int sequences) {
      return options(options.maxSequences(sequences));
    }

    /** See {@link LoadOptions#prefillChunkTokens(int)}. */
    public Builder prefillChunkTokens(int tokens) {
      return options(options.prefillChunkTokens(tokens));
    }

    /** See {@link LoadOptions#kvBlockTokens(int)}. */
    public Builder kvBlockTokens(int tokens) {
      return options(options.kvBlockTokens(tokens));
    }

    /** See {@link LoadOptions#maxQueuedRequests(int)}. */
    public Builder maxQueuedRequests(int requests) {
      return options(options.maxQueuedRequests(requests));
    }

    /** See {@link LoadOptions#threads(int)}. */
    public Builder threads(int count) {
      return options(options.threads(count));
    }

    /** See {@link LoadOptions#memoryBudget(Bytes)}. */
    public Builder memoryBudget(@Nullable Bytes budget) {
      return options(options.memoryBudget(budget));
    }

    /** See {@link LoadOptions#mapWeights(boolean)}. */
    public Builder mapWeights(boolean map) {
      return options(options.mapWeights(map));
    }

    /** See {@link LoadOptions#verifyChecksums(boolean)}. */
    public Builder verifyChecksums(boolean verify) {
      return options(options.verifyChecksums(verify));
    }

    /** See {@link LoadOptions#requireFastBackend(boolean)}. */
    public Builder requireFastBackend(boolean require) {
      return options(options.requireFastBackend(require));
    }

    /** See {@link LoadOptions#promptFormat(String)}. */
    public Builder promptFormat(@Nullable String name) {
      return options(options.promptFormat(name));
    }

    /** Tells a listener how loading goes. */
    public Builder onProgress(LoadListener hears) {
      listener = hears;
      return this;
    }

    /** Computes what a model with these options needs; reads headers only. */
    public MemoryPlan plan() {
      return ModelLoader.plan(path, options);
    }

    /**
     * Loads the model.
     *
     * @throws dev.fathom.error.FathomException as {@link DeepSeekModel#load}; {@link
     *     dev.fathom.error.InsufficientMemoryException} before any weight is read
     */
    public DeepSeekModel load() {
      return ModelLoader.load(path, options, listener);
    }
  }
}
