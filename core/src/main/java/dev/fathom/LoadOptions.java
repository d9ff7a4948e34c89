package dev.fathom;

import dev.fathom.arch.Compatibility;
import dev.fathom.arch.CustomArchitecture;
import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.PrefillMode;
import dev.fathom.backend.WeightPlacement;
import dev.fathom.engine.SchedulingOptions;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.quant.WeightFormat;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How a model is loaded. Immutable: each method with an argument returns changed options. Checked
 * where they are set.
 */
public final class LoadOptions implements Cloneable {

  /** Context where neither the options nor a smaller limit of the model says. */
  public static final int DEFAULT_CONTEXT_TOKENS = 8192;

  private static final int MAX_CONTEXT_TOKENS = 1 << 24;
  private static final int MAX_CACHE_TOKENS = 1 << 30;
  private static final int MAX_SEQUENCES = 1024;
  private static final int MAX_CHUNK_TOKENS = 1 << 16;
  private static final int MAX_BLOCK_TOKENS = 1 << 12;
  private static final int MAX_QUEUED = 1 << 20;
  private static final int MAX_THREADS = 4096;
  private static final int MAX_ADAPTERS = 64;
  private static final List<WeightFormat> WEIGHT_FORMATS =
      List.of(WeightFormat.BF16, WeightFormat.FP8_E4M3, WeightFormat.INT8, WeightFormat.INT4);
  private static final LoadOptions DEFAULTS = new LoadOptions();

  private String backend = "auto";
  private @Nullable WeightFormat weights;
  private KvFormat kvCache = KvFormat.F32;
  private int contextTokens;
  private int maxSequences = 4;
  private int prefillChunkTokens = 256;
  private int kvBlockTokens;
  private int kvCacheTokens;
  private boolean reserveKvCache;
  private boolean prefixCache = true;
  private Bytes kvHostMemory = Bytes.of(0);
  private @Nullable Path kvFolder;
  private Bytes kvFolderLimit = Bytes.of(0);
  private int longPromptTokens = SchedulingOptions.DEFAULT.longPromptTokens();
  private int maxQueuedRequests = 1024;
  private long maxQueuedTokens = 1L << 24;
  private int threads;
  private int vectorBits;
  private ActivationMode activations = ActivationMode.AUTO;
  private PrefillMode prefill = PrefillMode.JAVA;
  private @Nullable Bytes memoryBudget;
  private boolean mapWeights;
  private boolean verifyChecksums;
  private boolean requireFastBackend;
  private boolean requireChat;
  private Duration warmUp = Duration.ZERO;
  private @Nullable String promptFormat;
  private @Nullable CustomArchitecture architecture;
  private int maxAdapters;
  private @Nullable Bytes adapterMemory;
  private Map<String, Path> adapters = Map.of();
  private Speculation speculation = Speculation.off();
  private Compatibility compatibility = Compatibility.PUBLISHED;

  private LoadOptions() {}

  /** Returns the options of {@link DeepSeekModel#load}. */
  public static LoadOptions defaults() {
    return DEFAULTS;
  }

  private LoadOptions copy() {
    try {
      return (LoadOptions) clone();
    } catch (CloneNotSupportedException e) {
      throw new AssertionError("the class is Cloneable", e);
    }
  }

  /** Sets the backend: {@code auto} or a backend's name. A named one that cannot run fails. */
  public LoadOptions backend(String name) {
    LoadOptions copy = copy();
    copy.backend = name;
    return copy;
  }

  /**
   * Brings the matrices of linear layers to another format while loading, rounded to nearest
   * without calibration; null keeps the checkpoint's. Embedding, head, router and norms stay as
   * they are.
   *
   * @param format BF16, FP8_E4M3, INT8 (a scale a row) or INT4 (groups of 32), or null
   * @throws dev.fathom.error.InvalidRequestException for another format
   */
  public LoadOptions weights(@Nullable WeightFormat format) {
    if (format != null && !WEIGHT_FORMATS.contains(format)) {
      throw Checks.invalid(
          "The option weights cannot have this format",
          "must be one of " + WEIGHT_FORMATS + ": weights=" + format,
          "set weights to one of them, or leave it out to keep the checkpoint's");
    }
    LoadOptions copy = copy();
    copy.weights = format;
    return copy;
  }

  /** Sets how the KV cache stores its elements. */
  public LoadOptions kvCache(KvFormat format) {
    LoadOptions copy = copy();
    copy.kvCache = format;
    return copy;
  }

  /**
   * Sets the most tokens of a sequence, prompt and output together; 0 takes the model's limit, at
   * most {@value #DEFAULT_CONTEXT_TOKENS}.
   */
  public LoadOptions contextTokens(int tokens) {
    LoadOptions copy = copy();
    copy.contextTokens = Checks.inRange("contextTokens", tokens, 0, MAX_CONTEXT_TOKENS);
    return copy;
  }

  /** Sets how many sequences run at once; the KV cache holds so many full contexts. */
  public LoadOptions maxSequences(int sequences) {
    LoadOptions copy = copy();
    copy.maxSequences = Checks.inRange("maxSequences", sequences, 1, MAX_SEQUENCES);
    return copy;
  }

  /** Sets the most tokens of a step; longer prompts take several. Results do not depend on it. */
  public LoadOptions prefillChunkTokens(int tokens) {
    LoadOptions copy = copy();
    copy.prefillChunkTokens = Checks.inRange("prefillChunkTokens", tokens, 1, MAX_CHUNK_TOKENS);
    return copy;
  }

  /** Sets the tokens of a block of the KV cache, 0 for the default. Results do not depend on it. */
  public LoadOptions kvBlockTokens(int tokens) {
    LoadOptions copy = copy();
    copy.kvBlockTokens = Checks.inRange("kvBlockTokens", tokens, 0, MAX_BLOCK_TOKENS);
    return copy;
  }

  /**
   * Sets how many tokens of all sequences together the KV cache holds, at least one context; 0
   * takes maxSequences full contexts. With less, more sequences run than fit at their longest:
   * where the cache gets full, the one that came last waits and computes again. Results do not
   * depend on it.
   */
  public LoadOptions kvCacheTokens(int tokens) {
    LoadOptions copy = copy();
    copy.kvCacheTokens = Checks.inRange("kvCacheTokens", tokens, 0, MAX_CACHE_TOKENS);
    return copy;
  }

  /** Starts a sequence only where the KV cache has room for all it may put out. */
  public LoadOptions reserveKvCache(boolean reserve) {
    LoadOptions copy = copy();
    copy.reserveKvCache = reserve;
    return copy;
  }

  /**
   * Reuses the KV cache of prompts that begin alike. On by default; results do not depend on it.
   */
  public LoadOptions prefixCache(boolean reuse) {
    LoadOptions copy = copy();
    copy.prefixCache = reuse;
    return copy;
  }

  /**
   * Keeps blocks of cached prompts in so much more memory when the KV cache gives them out again,
   * and brings them back when a request begins with them; none by default. Tenants share nothing
   * there either, and where it is full, who has most loses what it used least recently. Results do
   * not depend on it.
   */
  public LoadOptions kvHostMemory(Bytes memory) {
    LoadOptions copy = copy();
    copy.kvHostMemory = memory;
    return copy;
  }

  /**
   * Keeps such blocks also, or only, in files: what {@link #kvHostMemory} drops is written by a
   * thread of its own, in a subfolder for each tenant, and found again by later processes that load
   * the same files with the same options. Each file carries a digest; what is damaged or cut off is
   * computed again. The folder is readable by its owner alone and used by one process at a time;
   * deleting it, or a tenant's subfolder, while no process uses it is safe. What a file holds
   * follows from a prompt: treat the folder as confidential.
   *
   * @param folder where a subfolder is made for this model; null for none
   * @param limit most bytes of this model's files, at least 1 where there is a folder
   * @throws dev.fathom.error.InvalidRequestException if there is a folder and no room
   */
  public LoadOptions kvFolder(@Nullable Path folder, Bytes limit) {
    if (folder != null && limit.count() < 1) {
      throw Checks.outOfRange("kvFolder.limit", ">= 1", Long.toString(limit.count()));
    }
    LoadOptions copy = copy();
    copy.kvFolder = folder;
    copy.kvFolderLimit = limit;
    return copy;
  }

  /** Sets the most tokens of one prompt in a step while other prompts want some, at least 1. */
  public LoadOptions longPromptTokens(int tokens) {
    LoadOptions copy = copy();
    copy.longPromptTokens = Checks.inRange("longPromptTokens", tokens, 1, MAX_CHUNK_TOKENS);
    return copy;
  }

  /** Sets how many requests may wait; one more is refused. */
  public LoadOptions maxQueuedRequests(int requests) {
    LoadOptions copy = copy();
    copy.maxQueuedRequests = Checks.inRange("maxQueuedRequests", requests, 1, MAX_QUEUED);
    return copy;
  }

  /**
   * Sets how many prompt tokens the waiting requests may have together; a request that would exceed
   * it is refused, unless nothing waits.
   */
  public LoadOptions maxQueuedTokens(long tokens) {
    if (tokens < 1) {
      throw Checks.outOfRange("maxQueuedTokens", ">= 1", Long.toString(tokens));
    }
    LoadOptions copy = copy();
    copy.maxQueuedTokens = tokens;
    return copy;
  }

  /** Sets the backend's worker threads; 0 leaves them to the backend. */
  public LoadOptions threads(int count) {
    LoadOptions copy = copy();
    copy.threads = Checks.inRange("threads", count, 0, MAX_THREADS);
    return copy;
  }

  /**
   * Fixes the width of the CPU backend's vectors: 128, 256 or 512 bits; 0 takes the widest. The
   * first model of a process decides; a later one that wants another width fails.
   */
  public LoadOptions vectorBits(int bits) {
    LoadOptions copy = copy();
    if (bits != 0 && bits != 128 && bits != 256 && bits != 512) {
      throw Checks.invalid(
          "The option vectorBits cannot have this value",
          "must be 0, 128, 256 or 512: vectorBits=" + bits,
          "set it to one of them, or leave it out");
    }
    copy.vectorBits = bits;
    return copy;
  }

  /** Sets whether activations are rounded to bytes where they meet INT8 and INT4 weights. */
  public LoadOptions activations(ActivationMode mode) {
    LoadOptions copy = copy();
    copy.activations = mode;
    return copy;
  }

  /**
   * Sets what multiplies the tokens of long prompts: the backend's own kernels, the default, or a
   * library that the program brings along ({@link PrefillMode}).
   */
  public LoadOptions prefill(PrefillMode mode) {
    LoadOptions copy = copy();
    copy.prefill = mode;
    return copy;
  }

  /** Limits the memory of weights, KV cache and work buffers; null leaves what the machine has. */
  public LoadOptions memoryBudget(@Nullable Bytes budget) {
    LoadOptions copy = copy();
    copy.memoryBudget = budget;
    return copy;
  }

  /**
   * Maps weight files instead of reading them into own memory. Weights that kernels can read as
   * they are stored are not copied then, bfloat16 among them, whose copies are faster with several
   * sequences and add up in another order. Truncating a mapped file can kill the whole JVM; leave
   * it off unless nobody can touch the files.
   */
  public LoadOptions mapWeights(boolean map) {
    LoadOptions copy = copy();
    copy.mapWeights = map;
    return copy;
  }

  /** Compares the SHA-256 sums of the files with the checkpoint's list before anything is used. */
  public LoadOptions verifyChecksums(boolean verify) {
    LoadOptions copy = copy();
    copy.verifyChecksums = verify;
    return copy;
  }

  /** Fails the loading where only the reference backend can run. */
  public LoadOptions requireFastBackend(boolean require) {
    LoadOptions copy = copy();
    copy.requireFastBackend = require;
    return copy;
  }

  /**
   * Refuses, before any weight is read, a checkpoint that has no known prompt format; otherwise the
   * first {@link Prompt.Chat} is refused.
   */
  public LoadOptions requireChat(boolean require) {
    LoadOptions copy = copy();
    copy.requireChat = require;
    return copy;
  }

  /**
   * Lets loading end with steps of made-up tokens, until they no longer become faster, and then
   * with made-up requests: the JVM interprets code before it compiles it, so that the first tokens
   * of a process otherwise take many times as long as later ones. A service that is asked soon
   * after it started wants it, a command that generates once does not. Nothing of them remains.
   *
   * @param most time that it may take, a step that began more; zero (the default) leaves it out
   * @throws dev.fathom.error.InvalidRequestException for a negative time
   */
  public LoadOptions warmUp(Duration most) {
    if (most.isNegative()) {
      throw Checks.outOfRange("warmUp", ">= PT0S", most.toString());
    }
    LoadOptions copy = copy();
    copy.warmUp = most;
    return copy;
  }

  /** Sets the prompt format by name; null recognises it. */
  public LoadOptions promptFormat(@Nullable String name) {
    LoadOptions copy = copy();
    copy.promptFormat = name;
    return copy;
  }

  /**
   * Names a model family that is not part of this library; it reads checkpoints of its model_type,
   * also where the library knows a family of that type. Null for none.
   */
  public LoadOptions architecture(@Nullable CustomArchitecture family) {
    LoadOptions copy = copy();
    copy.architecture = family;
    return copy;
  }

  /**
   * Sets how many LoRA adapters can be loaded at once, 0 to {@value #MAX_ADAPTERS}; those of {@link
   * #adapter} count.
   */
  public LoadOptions maxAdapters(int count) {
    LoadOptions copy = copy();
    copy.maxAdapters = Checks.inRange("maxAdapters", count, 0, MAX_ADAPTERS);
    return copy;
  }

  /**
   * Sets the memory of all adapters together, which the memory plan counts; null plans what those
   * of {@link #adapter} take, and for each further one rank 16 on every linear outside routed
   * experts.
   */
  public LoadOptions adapterMemory(@Nullable Bytes memory) {
    LoadOptions copy = copy();
    copy.adapterMemory = memory;
    return copy;
  }

  /**
   * Loads a LoRA adapter together with the model.
   *
   * @param name in requests
   * @param folder with adapter_config.json and adapter_model.safetensors, as PEFT writes them
   * @throws dev.fathom.error.InvalidRequestException if the name is blank, too long or given twice,
   *     or there are too many
   */
  public LoadOptions adapter(String name, Path folder) {
    LoadOptions copy = copy();
    Map<String, Path> all = new LinkedHashMap<>(adapters);
    if (all.put(Checks.adapterName(name), folder) != null) {
      throw Checks.invalid(
          "Two adapters have one name", "must differ: adapter=" + name, "give each its own name");
    }
    Checks.inRange("adapters", all.size(), 0, MAX_ADAPTERS);
    copy.adapters = Collections.unmodifiableMap(all);
    return copy;
  }

  /**
   * Sets how requests speculate that do not say so themselves. Only {@link Speculation#mtp} loads
   * the checkpoint's module of multi-token prediction, with which requests may then differ in the
   * number of guesses.
   */
  public LoadOptions speculation(Speculation how) {
    LoadOptions copy = copy();
    copy.speculation = how;
    return copy;
  }

  /** Sets whose behaviour the model has where implementations are known to disagree. */
  public LoadOptions compatibility(Compatibility whose) {
    LoadOptions copy = copy();
    copy.compatibility = whose;
    return copy;
  }

  /** Returns the backend's name or {@code auto}. */
  public String backend() {
    return backend;
  }

  /** Returns the format of linear layers, or null where the checkpoint's is kept. */
  public @Nullable WeightFormat weights() {
    return weights;
  }

  /** Returns how the KV cache stores its elements. */
  public KvFormat kvCache() {
    return kvCache;
  }

  /** Returns the most tokens of a sequence, 0 for the default. */
  public int contextTokens() {
    return contextTokens;
  }

  /** Returns how many sequences run at once. */
  public int maxSequences() {
    return maxSequences;
  }

  /** Returns the most tokens of a step. */
  public int prefillChunkTokens() {
    return prefillChunkTokens;
  }

  /** Returns the tokens of a KV block, 0 for the default. */
  public int kvBlockTokens() {
    return kvBlockTokens;
  }

  /** Returns the tokens that the KV cache holds, 0 for maxSequences full contexts. */
  public int kvCacheTokens() {
    return kvCacheTokens;
  }

  /** Returns whether a sequence starts only where all it may put out has room. */
  public boolean reserveKvCache() {
    return reserveKvCache;
  }

  /** Returns whether computed prefixes are reused. */
  public boolean prefixCache() {
    return prefixCache;
  }

  /** Returns the memory for blocks that left the KV cache, 0 for none. */
  public Bytes kvHostMemory() {
    return kvHostMemory;
  }

  /** Returns the folder for blocks that left the KV cache, or null. */
  public @Nullable Path kvFolder() {
    return kvFolder;
  }

  /** Returns the most bytes of that folder. */
  public Bytes kvFolderLimit() {
    return kvFolderLimit;
  }

  /** Returns the most tokens of one prompt in a step while other prompts want some. */
  public int longPromptTokens() {
    return longPromptTokens;
  }

  /** Returns how many requests may wait. */
  public int maxQueuedRequests() {
    return maxQueuedRequests;
  }

  /** Returns how many prompt tokens may wait. */
  public long maxQueuedTokens() {
    return maxQueuedTokens;
  }

  /** Returns the bits of the CPU backend's vectors, 0 for the widest. */
  public int vectorBits() {
    return vectorBits;
  }

  /** Returns how activations meet integer weights. */
  public ActivationMode activations() {
    return activations;
  }

  /** Returns what multiplies the tokens of long prompts. */
  public PrefillMode prefill() {
    return prefill;
  }

  /** Returns what a backend is created with. */
  BackendOptions backendOptions() {
    return new BackendOptions(
        threads,
        vectorBits,
        activations,
        prefill,
        mapWeights ? WeightPlacement.IN_PLACE : WeightPlacement.PACKED);
  }

  /** Returns the backend's worker threads, 0 for its own choice. */
  public int threads() {
    return threads;
  }

  /** Returns the memory limit, or null. */
  public @Nullable Bytes memoryBudget() {
    return memoryBudget;
  }

  /** Returns whether weight files are mapped. */
  public boolean mapWeights() {
    return mapWeights;
  }

  /** Returns whether checksums are compared. */
  public boolean verifyChecksums() {
    return verifyChecksums;
  }

  /** Returns whether the reference backend is refused. */
  public boolean requireFastBackend() {
    return requireFastBackend;
  }

  /** Returns whether a checkpoint without a known prompt format is refused. */
  public boolean requireChat() {
    return requireChat;
  }

  /** Returns how long {@link #warmUp(Duration)} may take. */
  public Duration warmUp() {
    return warmUp;
  }

  /** Returns the name of the prompt format, or null. */
  public @Nullable String promptFormat() {
    return promptFormat;
  }

  /** Returns the model family that is not part of this library, or null. */
  public @Nullable CustomArchitecture architecture() {
    return architecture;
  }

  /** Returns how many adapters can be loaded at once, not counting what {@link #adapters} adds. */
  public int maxAdapters() {
    return maxAdapters;
  }

  /** Returns the memory of all adapters together, or null for what is planned. */
  public @Nullable Bytes adapterMemory() {
    return adapterMemory;
  }

  /** Returns the folders of the adapters that are loaded with the model, by name. */
  public Map<String, Path> adapters() {
    return adapters;
  }

  /** Returns how requests speculate that do not say so themselves. */
  public Speculation speculation() {
    return speculation;
  }

  /** Returns whose behaviour the model has where implementations disagree. */
  public Compatibility compatibility() {
    return compatibility;
  }
}
