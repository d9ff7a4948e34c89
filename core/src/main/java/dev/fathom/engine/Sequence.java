package dev.fathom.engine;

import dev.fathom.backend.SamplingParams;
import dev.fathom.backend.TokenCounts;
import dev.fathom.kvcache.BlockTable;
import dev.fathom.sampling.ProcessorChain;
import dev.fathom.sampling.TokenHistory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A run of tokens whose KV is computed step by step: {@code numComputed} of {@code numTokens} are.
 *
 * <p>A choice of a request is one sequence. The choices of a request with several share a prefix
 * sequence, which computes all but the last token of the prompt, puts nothing out, and then lends
 * its blocks: each choice forks it, computes the last token and samples.
 *
 * <p>Mutable; the scheduler and the engine's thread own it.
 */
final class Sequence implements TokenHistory {

  /** What the scheduler does with a sequence. */
  enum State {
    WAITING,
    RUNNING,
    /** A computed prefix whose choices have not all started. */
    LENDING,
    DONE
  }

  final RunningRequest request;
  final int choice;
  final SamplingParams params;
  final int maxPositions;
  final boolean isPrefix;
  final BlockTable[] tables;
  final List<Sequence> borrowers = new ArrayList<>();
  @Nullable Sequence lender;
  @Nullable TokenCounts counts;

  /** Allowed tokens of the next row; {@link RowMask} computes it when a token was taken. */
  long @Nullable [] mask;

  @Nullable RowMask constraints;
  @Nullable ProcessorChain processors;
  State state = State.WAITING;
  int numComputed;

  private final int promptLength;
  private int[] tokens;
  private int numTokens;

  Sequence(
      RunningRequest request,
      int choice,
      SamplingParams params,
      int[] tokens,
      int numTokens,
      int maxPositions,
      boolean isPrefix,
      int numGroups) {
    this.request = request;
    this.choice = choice;
    this.params = params;
    this.tokens = tokens;
    this.numTokens = numTokens;
    this.promptLength = numTokens;
    this.maxPositions = maxPositions;
    this.isPrefix = isPrefix;
    this.tables = new BlockTable[numGroups];
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

  /** Returns how many known tokens are not computed. */
  int numPending() {
    return numTokens - numComputed;
  }

  /** Appends a sampled token; the prompt's array is copied the first time it is too short. */
  void append(int token) {
    if (numTokens == tokens.length) {
      tokens = Arrays.copyOf(tokens, Math.min(2 * numTokens + 16, maxPositions + 1));
    }
    tokens[numTokens++] = token;
  }
}
