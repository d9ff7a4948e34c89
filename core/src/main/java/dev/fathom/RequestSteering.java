package dev.fathom;

import dev.fathom.engine.RequestControls;
import dev.fathom.sampling.AllowedTokens;
import dev.fathom.sampling.BadWords;
import dev.fathom.sampling.LogitsProcessor;
import dev.fathom.sampling.NoRepeatNgram;
import dev.fathom.sampling.ThinkingBudget;
import dev.fathom.sampling.TokenConstraint;
import dev.fathom.text.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Turns the options of a request that steer its output into constraints, processors and a time.
 * Safe for several threads.
 */
final class RequestSteering {

  private static final String BEGIN_REASONING = "<think>";
  private static final String END_REASONING = "</think>";

  private final Tokenizer tokenizer;
  private final int vocabSize;
  private volatile byte @Nullable [][] tokenBytes;

  RequestSteering(Tokenizer tokenizer, int vocabSize) {
    this.tokenizer = tokenizer;
    this.vocabSize = vocabSize;
  }

  /**
   * Returns the controls of a request.
   *
   * @param startsReasoning whether its output begins inside reasoning
   */
  RequestControls controls(GenerationRequest request, boolean startsReasoning) {
    return new RequestControls(
        timeoutNanos(request),
        constraints(request),
        processors(request, startsReasoning),
        request.endOnRepetition());
  }

  private static long timeoutNanos(GenerationRequest request) {
    long nanos = RequestControls.NO_TIMEOUT;
    Duration timeout = request.timeout();
    if (timeout != null) {
      nanos = saturated(timeout);
    }
    Instant deadline = request.deadline();
    if (deadline != null) {
      Duration left = Duration.between(Instant.now(), deadline);
      nanos = Math.min(nanos, left.isNegative() ? 0 : saturated(left));
    }
    return nanos;
  }

  private static long saturated(Duration duration) {
    return duration.getSeconds() > Long.MAX_VALUE / 2_000_000_000L
        ? RequestControls.NO_TIMEOUT
        : duration.toNanos();
  }

  private List<Supplier<TokenConstraint>> constraints(GenerationRequest request) {
    List<Supplier<TokenConstraint>> constraints = new ArrayList<>();
    if (!request.allowedTokenIds().isEmpty()) {
      int[] ids = request.allowedTokenIds().stream().mapToInt(i -> i).toArray();
      for (int id : ids) {
        Checks.inRange("allowedTokenIds", id, 0, vocabSize - 1);
      }
      AllowedTokens allowed = new AllowedTokens(ids, vocabSize);
      constraints.add(() -> allowed);
    }
    return constraints;
  }

  private List<LogitsProcessor> processors(GenerationRequest request, boolean startsReasoning) {
    List<LogitsProcessor> processors = new ArrayList<>();
    if (request.noRepeatNgram() > 0) {
      processors.add(new NoRepeatNgram(request.noRepeatNgram()));
    }
    if (!request.badWords().isEmpty()) {
      List<byte[]> words =
          request.badWords().stream().map(w -> w.getBytes(StandardCharsets.UTF_8)).toList();
      processors.add(new BadWords(words, tokenBytes()));
    }
    processors.addAll(request.logitsProcessors());
    Integer budget = request.thinkingBudget();
    if (budget != null) {
      // The last word: nothing may keep the end mark from coming.
      processors.add(
          new ThinkingBudget(budget, startsReasoning, mark(BEGIN_REASONING), mark(END_REASONING)));
    }
    return processors;
  }

  private int[] mark(String text) {
    return tokenizer.encodeWithSpecials(text);
  }

  private byte[][] tokenBytes() {
    byte[][] all = tokenBytes;
    if (all == null) {
      all = new byte[Math.min(vocabSize, tokenizer.size())][];
      for (int id = 0; id < all.length; id++) {
        all[id] = tokenizer.isSpecial(id) ? new byte[0] : tokenizer.tokenBytes(id);
      }
      tokenBytes = all;
    }
    return all;
  }
}
