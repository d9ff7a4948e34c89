package dev.fathom.engine;

import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.TokenCounts;
import dev.fathom.kvcache.SequenceBlocks;
import dev.fathom.sampling.ProcessorChain;
import dev.fathom.sampling.TokenHistory;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A run of tokens whose KV is computed step by step: {@code numComputed} of {@code numTokens} are.
 *
 * <p>A choice of a request is one sequence. The choices of a request with several have the first of
 * them as leader: they wait until it has computed the prompt, begin with its blocks, compute the
 * last token of the prompt again, and sample. Where the leader has gone, they start by themselves.
 *
 * <p>Mutable; the scheduler and the engine's thread own it.
 */
final class Sequence implements TokenHistory {

  /** What the scheduler does with a sequence. */
  enum State {
    WAITING,
    RUNNING,
    DONE
  }

  final RunningRequest request;
  final int choice;
  final SamplingParams params;
  final int maxPositions;
  final int priority;
  final SequenceBlocks blocks;
  @Nullable Sequence leader;
  @Nullable TokenCounts counts;

  /** Allowed tokens of the next row; {@link RowMask} computes it when a token was taken. */
  long @Nullable [] mask;

  @Nullable RowMask constraints;
  @Nullable ProcessorChain processors;
  long lastTokenNanos;

  /** Guesses of the next step, null where nothing guesses. */
  @Nullable Drafts drafts;

  /** End of the positions that have blocks, where a step made room for guesses. */
  int roomEnd;

  /** Whether it has its row and its siblings have not: it is not planned. */
  boolean resting;

  State state = State.WAITING;
  int numComputed;

  /** Order of arrival; the scheduler sets it. */
  long order;

  /** Tokens that were cached when the sequence started for the first time, or -1. */
  int numCached = -1;

  /** How often the sequence gave up its blocks. */
  int numPreemptions;

  private final int promptLength;
  private int[] tokens;
  private int numTokens;

  Sequence(
      RunningRequest request,
      int choice,
      SamplingParams params,
      int[] tokens,
      int maxPositions,
      int priority,
      SequenceBlocks blocks) {
    this(request, choice, params, tokens, maxPositions, priority, blocks, tokens.length);
  }

  private Sequence(
      RunningRequest request,
      int choice,
      SamplingParams params,
      int[] tokens,
      int maxPositions,
      int priority,
      SequenceBlocks blocks,
      int promptLength) {
    this.request = request;
    this.choice = choice;
    this.params = params;
    this.tokens = tokens;
    this.numTokens = tokens.length;
    this.promptLength = promptLength;
    this.maxPositions = maxPositions;
    this.priority = priority;
    this.blocks = blocks;
  }

  /** Returns a sequence with the same tokens and place in the order, and its own blocks. */
  Sequence fork(SequenceBlocks own) {
    int[] copy = Arrays.copyOf(tokens, Math.min(numTokens + 16, maxPositions + 1));
    Sequence other =
        new Sequence(request, choice, params, copy, maxPositions, priority, own, promptLength);
    other.numTokens = numTokens;
    other.order = order;
    other.numCached = numCached;
    return other;
  }

  int numTokens() {
    return numTokens;
  }

  @Override
  public int length() {
    return numTokens;
  }

  @Override
  public int promptLength() {
    return promptLength;
  }

  @Override
  public int token(int position) {
    return tokens[position];
  }

  /** Returns the known tokens; valid until the next {@link #append}, at least numTokens long. */
  int[] tokens() {
    return tokens;
  }

  /** Returns how many known tokens are not computed. */
  int numPending() {
    return numTokens - numComputed;
  }

  /** Returns whether this goes before another: by priority, lower first, then by arrival. */
  boolean isBefore(Sequence other) {
    return priority != other.priority ? priority < other.priority : order < other.order;
  }

  /** Appends a sampled token; the prompt's array is copied the first time it is too short. */
  void append(int token) {
    if (numTokens == tokens.length) {
      tokens = Arrays.copyOf(tokens, Math.min(2 * numTokens + 16, maxPositions + 1));
    }
    tokens[numTokens++] = token;
  }

  /** Takes the last appended token back and returns it. */
  int removeLast() {
    return tokens[--numTokens];
  }
}
