package dev.fathom;

import dev.fathom.arch.Compatibility;
import dev.fathom.arch.CustomArchitecture;
import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.Backend;
import dev.fathom.backend.PrefillMode;
import dev.fathom.engine.Engine;
import dev.fathom.engine.EngineHealth;
import dev.fathom.engine.EngineRequest;
import dev.fathom.engine.PeftAdapter;
import dev.fathom.engine.RequestListener;
import dev.fathom.engine.RequestOutcome;
import dev.fathom.engine.TokenEvent;
import dev.fathom.error.FathomException;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quantization.QuantizationListener;
import dev.fathom.quantization.QuantizationRecipe;
import dev.fathom.quantization.QuantizationReport;
import dev.fathom.sampling.HostSampler;
import dev.fathom.text.ChatMessage;
import dev.fathom.text.Tokenizer;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
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
  private final ModelAdapters adapters;
  private final Embedder embedder;
  private final Deliveries deliveries = new Deliveries();
  private final Object closing = new Object();

  DeepSeekModel(
      Engine engine,
      Backend backend,
      Arena weights,
      ModelText text,
      RequestReader reader,
      Diagnostics diagnostics,
      ModelAdapters adapters,
      Embedder embedder) {
    this.engine = engine;
    this.backend = backend;
    this.weights = weights;
    this.text = text;
    this.reader = reader;
    this.diagnostics = diagnostics;
    this.adapters = adapters;
    this.embedder = embedder;
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

  /**
   * Writes a quantized checkpoint of another one, without progress.
   *
   * @see #quantize(Path, Path, QuantizationRecipe, QuantizationListener)
   */
  public static QuantizationReport quantize(Path source, Path target, QuantizationRecipe recipe) {
    return quantize(source, target, recipe, QuantizationListener.NONE);
  }

  /**
   * Writes a quantized checkpoint of another one, shard by shard: memory holds one matrix, and with
   * {@link QuantizationRecipe.Method#AWQ} the model while it is calibrated and its samples. The
   * target loads here and in other engines that read its layout. An interrupted call leaves no half
   * file; the same call goes on where it ended.
   *
   * @param source a checkpoint, unquantized or FP8
   * @param target a folder that does not exist, is empty, or was left by an interrupted call
   * @param recipe what becomes of the weights
   * @param listener hears of progress, on the calling thread
   * @throws FathomException if the source cannot be read or quantized, or the target not be written
   */
  public static QuantizationReport quantize(
      Path source, Path target, QuantizationRecipe recipe, QuantizationListener listener) {
    return QuantizationRun.run(source, target, recipe, listener);
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
    requireOtherThread();
    LiveGeneration live = new LiveGeneration(LiveGeneration.NO_READER);
    live.startedAs(engine.submit(read(request), live));
    return live.resultOrThrow();
  }

  /**
   * Generates and hands out the tokens as they come. Closing the stream cancels.
   *
   * @throws InvalidRequestException as {@link #generate(GenerationRequest)}
   */
  public TokenStream stream(GenerationRequest request) {
    requireOtherThread();
    BeamRules.refuseStream(request);
    LiveGeneration live = new LiveGeneration(request.streamBuffer());
    LiveStream stream = new LiveStream(live);
    live.startedAs(engine.submit(read(request), live));
    return stream;
  }

  /**
   * Generates in the background. Where the future completes otherwise, cancelled or timed out, the
   * generation ends within a step. It completes on a thread of its own, so that what is chained to
   * it cannot hold the engine up.
   *
   * @throws InvalidRequestException as {@link #generate(GenerationRequest)}
   */
  public CompletableFuture<Generation> submit(GenerationRequest request) {
    EngineRequest read = read(request);
    GenerationFuture future = new GenerationFuture();
    future.startedAs(engine.submit(read, new FutureListener(future)));
    return future;
  }

  private EngineRequest read(GenerationRequest request) {
    engine.requireRoom();
    return reader.read(request);
  }

  /** A logits processor that waited for its own thread would wait for ever. */
  private void requireOtherThread() {
    if (engine.isEngineThread()) {
      throw Checks.invalid(
          "The model cannot be waited for here",
          "must not be the engine's own thread: thread=" + Thread.currentThread().getName(),
          "call submit from a logits processor, or generate from another thread");
    }
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
        future.ended();
        if (outcome.failure() != null) {
          future.completeExceptionally(outcome.failure());
        } else {
          future.complete(LiveGeneration.generation(outcome));
        }
      });
    }
  }

  /**
   * Loads a LoRA adapter beside the base weights; requests name it with {@link
   * GenerationRequest.Builder#adapter}. Adapters of several requests run in one batch.
   *
   * @param name in requests
   * @param folder with adapter_config.json and adapter_model.safetensors, as PEFT writes them
   * @throws InvalidRequestException if the name is in use, or the model was not loaded for so many
   *     or so large adapters ({@link Builder#maxAdapters}, {@link Builder#adapterMemory})
   * @throws dev.fathom.error.CheckpointException if a file is missing or broken
   * @throws dev.fathom.error.ModelConfigException if the adapter is of a kind that is not
   *     implemented, or does not fit the model
   */
  public void loadAdapter(String name, Path folder) {
    adapters.load(name, folder);
  }

  void loadAdapter(String name, PeftAdapter adapter) {
    adapters.load(name, adapter);
  }

  /**
   * Unloads an adapter: new requests cannot name it; those that run end with it, and then its
   * memory is free.
   *
   * @throws InvalidRequestException if it is not loaded
   */
  public void unloadAdapter(String name) {
    engine.adapters().unload(name);
  }

  /** Returns the names of the loaded adapters, sorted. */
  public List<String> adapters() {
    return engine.adapters().names();
  }

  /**
   * Turns texts into vectors: the hidden states after the final norm, pooled. Each text is the
   * beginning-of-sentence token and the text; control tokens in it are text. Texts run together in
   * steps, in turn with those of generations; a result depends on nothing but its text.
   *
   * @throws InvalidRequestException if a text is empty or longer than the context, or the adapter
   *     is not loaded
   * @throws dev.fathom.error.GenerationException if the model was closed or this thread interrupted
   */
  public Embeddings embed(List<String> texts, EmbeddingOptions options) {
    return embedder.embed(texts, options);
  }

  /** Turns a text into a vector, with {@link EmbeddingOptions#defaults}. */
  public float[] embed(String text) {
    return embed(List.of(text), EmbeddingOptions.defaults()).vectors().getFirst();
  }

  /**
   * Turns sequences of tokens into vectors, as {@link #embed(List, EmbeddingOptions)}; no token is
   * added.
   *
   * @throws InvalidRequestException as there, and for a token out of the vocabulary
   */
  public Embeddings embedTokens(List<int[]> texts, EmbeddingOptions options) {
    return embedder.embedTokens(texts, options);
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
    logits(ids, chunk, null, consumer);
  }

  /**
   * Computes the logits of every position of a sequence, as {@link #logits(int[], int,
   * LogitsConsumer)}.
   *
   * @param adapter name of a loaded adapter, or null
   */
  public void logits(int[] ids, int chunk, @Nullable String adapter, LogitsConsumer consumer) {
    Checks.inRange("ids.length", ids.length, 1, engine.options().contextTokens());
    Checks.inRange("chunk", chunk, 1, engine.options().maxRows());
    reader.checkIds("ids", ids);
    engine.logits(ids, chunk, adapter, consumer::accept);
  }

  /**
   * Measures how well the model predicts each token after the first.
   *
   * @param ids 2 to contextTokens tokens
   * @param chunk as in {@link #logits}
   */
  public Perplexity perplexity(int[] ids, int chunk) {
    return perplexity(ids, chunk, null);
  }

  /**
   * Measures how well the model with an adapter predicts each token after the first.
   *
   * @param adapter name of a loaded adapter, or null
   */
  public Perplexity perplexity(int[] ids, int chunk, @Nullable String adapter) {
    Checks.inRange("ids.length", ids.length, 2, engine.options().contextTokens());
    int[] context = Arrays.copyOf(ids, ids.length - 1);
    reader.checkIds("ids", ids);
    double[] sum = new double[1];
    logits(
        context,
        chunk,
        adapter,
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

  /** Returns the engine's numbers. Never waits. */
  public EngineMetrics metrics() {
    return EngineReadings.of(engine);
  }

  /** Returns whether requests are served, from what the engine did last. Never waits. */
  public Health health() {
    EngineHealth health = engine.health();
    Health.Status status =
        switch (health.status()) {
          case UP -> Health.Status.UP;
          case STALLED -> Health.Status.STALLED;
          case DOWN -> Health.Status.DOWN;
        };
    return new Health(status, health.reason(), health.sinceProgress());
  }

  @Override
  public void close() {
    close(Duration.ZERO);
  }

  /**
   * Takes no new request, lets those that it took end for a while, then fails what still runs and
   * frees everything. Idempotent. Another thread may hurry it up with {@link #close()}.
   *
   * @param drain how long requests may go on; zero fails them before the next step
   */
  public void close(Duration drain) {
    engine.close(drain);
    deliveries.close();
    engine.whenStopped(() -> {
      synchronized (closing) {
        backend.close();
        if (weights.scope().isAlive()) {
          weights.close();
        }
      }
    });
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

    /** See {@link LoadOptions#kvCacheTokens(int)}. */
    public Builder kvCacheTokens(int tokens) {
      return options(options.kvCacheTokens(tokens));
    }

    /** See {@link LoadOptions#reserveKvCache(boolean)}. */
    public Builder reserveKvCache(boolean reserve) {
      return options(options.reserveKvCache(reserve));
    }

    /** See {@link LoadOptions#prefixCache(boolean)}. */
    public Builder prefixCache(boolean reuse) {
      return options(options.prefixCache(reuse));
    }

    /** See {@link LoadOptions#kvHostMemory(Bytes)}. */
    public Builder kvHostMemory(Bytes memory) {
      return options(options.kvHostMemory(memory));
    }

    /** See {@link LoadOptions#kvFolder(Path, Bytes)}. */
    public Builder kvFolder(@Nullable Path folder, Bytes limit) {
      return options(options.kvFolder(folder, limit));
    }

    /** See {@link LoadOptions#longPromptTokens(int)}. */
    public Builder longPromptTokens(int tokens) {
      return options(options.longPromptTokens(tokens));
    }

    /** See {@link LoadOptions#kvBlockTokens(int)}. */
    public Builder kvBlockTokens(int tokens) {
      return options(options.kvBlockTokens(tokens));
    }

    /** See {@link LoadOptions#maxQueuedRequests(int)}. */
    public Builder maxQueuedRequests(int requests) {
      return options(options.maxQueuedRequests(requests));
    }

    /** See {@link LoadOptions#maxQueuedTokens(long)}. */
    public Builder maxQueuedTokens(long tokens) {
      return options(options.maxQueuedTokens(tokens));
    }

    /** See {@link LoadOptions#threads(int)}. */
    public Builder threads(int count) {
      return options(options.threads(count));
    }

    /** See {@link LoadOptions#vectorBits(int)}. */
    public Builder vectorBits(int bits) {
      return options(options.vectorBits(bits));
    }

    /** See {@link LoadOptions#activations(ActivationMode)}. */
    public Builder activations(ActivationMode mode) {
      return options(options.activations(mode));
    }

    /** See {@link LoadOptions#prefill(PrefillMode)}. */
    public Builder prefill(PrefillMode mode) {
      return options(options.prefill(mode));
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

    /** See {@link LoadOptions#requireChat(boolean)}. */
    public Builder requireChat(boolean require) {
      return options(options.requireChat(require));
    }

    /** See {@link LoadOptions#warmUp(Duration)}. */
    public Builder warmUp(Duration most) {
      return options(options.warmUp(most));
    }

    /** See {@link LoadOptions#promptFormat(String)}. */
    public Builder promptFormat(@Nullable String name) {
      return options(options.promptFormat(name));
    }

    /** See {@link LoadOptions#architecture(CustomArchitecture)}. */
    public Builder architecture(@Nullable CustomArchitecture family) {
      return options(options.architecture(family));
    }

    /** See {@link LoadOptions#maxAdapters(int)}. */
    public Builder maxAdapters(int count) {
      return options(options.maxAdapters(count));
    }

    /** See {@link LoadOptions#adapterMemory(Bytes)}. */
    public Builder adapterMemory(@Nullable Bytes memory) {
      return options(options.adapterMemory(memory));
    }

    /** See {@link LoadOptions#adapter(String, Path)}. */
    public Builder adapter(String name, Path folder) {
      return options(options.adapter(name, folder));
    }

    /** See {@link LoadOptions#speculation(Speculation)}. */
    public Builder speculation(Speculation how) {
      return options(options.speculation(how));
    }

    /** See {@link LoadOptions#compatibility(Compatibility)}. */
    public Builder compatibility(Compatibility whose) {
      return options(options.compatibility(whose));
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
