package dev.fathom;

import dev.fathom.engine.ChoiceOutcome;
import dev.fathom.engine.EndReason;
import dev.fathom.engine.Engine;
import dev.fathom.engine.RequestListener;
import dev.fathom.engine.RequestOutcome;
import dev.fathom.engine.TokenEvent;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.text.OutputEvent;
import dev.fathom.text.ToolCall;
import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A generation that runs: hears of it on the engine's thread, hands tokens and the result to
 * others. Its lock is held for moments only.
 *
 * <p>At most {@code capacity} tokens wait for a reader (and those of one more step): then it is not
 * ready, and the engine lets the request sit out until half of them were taken. Waiting for the
 * result lifts the bound, since nobody may be reading.
 */
final class LiveGeneration implements RequestListener {

  /** Capacity of a generation without a reader: its tokens are dropped. */
  static final int NO_READER = 0;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Deque<Token> tokens = new ArrayDeque<>();
  private final int capacity;
  private @Nullable WeakReference<LiveStream> reader;
  private Engine.@Nullable Ticket ticket;
  private @Nullable RequestOutcome outcome;
  private boolean closed;
  private boolean isBounded = true;
  private volatile boolean full;

  LiveGeneration(int capacity) {
    this.capacity = capacity;
  }

  /** Notes who reads, before it is submitted. */
  void readBy(LiveStream stream) {
    reader = new WeakReference<>(stream);
  }

  void startedAs(Engine.Ticket how) {
    lock.lock();
    try {
      ticket = how;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void onToken(TokenEvent event) {
    if (capacity == NO_READER) {
      return;
    }
    lock.lock();
    try {
      if (closed) {
        return;
      }
      addTokens(event);
      full = isBounded && tokens.size() >= capacity;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void addTokens(TokenEvent event) {
    List<TokenLogprob.Alternative> top = alternatives(event);
    TokenKind quiet = event.reasoning() ? TokenKind.REASONING : TokenKind.CONTENT;
    if (event.events().isEmpty()) {
      tokens.add(
          new Token(
              event.choice(), event.index(), event.token(), "", quiet, event.logprob(), top, null));
      return;
    }
    int id = event.token();
    for (OutputEvent part : event.events()) {
      boolean first = id != Token.NO_ID;
      float logprob = first ? event.logprob() : Float.NaN;
      List<TokenLogprob.Alternative> ranked = first ? top : List.of();
      tokens.add(
          switch (part) {
            case OutputEvent.Reasoning r ->
                token(event, id, r.text(), TokenKind.REASONING, logprob, ranked, null);
            case OutputEvent.Content c ->
                token(event, id, c.text(), TokenKind.CONTENT, logprob, ranked, null);
            case OutputEvent.Call call ->
                token(event, id, "", TokenKind.TOOL_CALL, logprob, ranked, toolCall(call));
          });
      id = Token.NO_ID;
    }
  }

  private static Token token(
      TokenEvent event,
      int id,
      String text,
      TokenKind kind,
      float logprob,
      List<TokenLogprob.Alternative> top,
      @Nullable ToolCall call) {
    return new Token(event.choice(), event.index(), id, text, kind, logprob, top, call);
  }

  private static ToolCall toolCall(OutputEvent.Call call) {
    return new ToolCall(call.name(), call.argumentsJson());
  }

  private static List<TokenLogprob.Alternative> alternatives(TokenEvent event) {
    return event.top().stream()
        .map(ranked -> new TokenLogprob.Alternative(ranked.token(), ranked.logprob()))
        .toList();
  }

  @Override
  public void onEnd(RequestOutcome end) {
    lock.lock();
    try {
      outcome = end;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean isReady() {
    return !full;
  }

  @Override
  public boolean isAbandoned() {
    WeakReference<LiveStream> stream = reader;
    return stream != null && stream.refersTo(null);
  }

  /** Waits and returns the result, a failed one too. Tokens that wait stay available. */
  Generation result() {
    Engine.Ticket how;
    lock.lock();
    try {
      isBounded = false;
      how = full ? ticket : null;
      full = false;
    } finally {
      lock.unlock();
    }
    if (how != null) {
      how.resume();
    }
    return generation(awaitEnd());
  }

  /** Waits and returns the result, or throws what the generation failed with. */
  Generation resultOrThrow() {
    RequestOutcome end = awaitEnd();
    if (end.failure() != null) {
      throw end.failure();
    }
    return generation(end);
  }

  private RequestOutcome awaitEnd() {
    lock.lock();
    try {
      while (outcome == null) {
        changed.await();
      }
      return outcome;
    } catch (InterruptedException e) {
      throw interrupted(e);
    } finally {
      lock.unlock();
    }
  }

  private GenerationException interrupted(InterruptedException e) {
    close();
    Thread.currentThread().interrupt();
    return new GenerationException(
        ErrorCode.GENERATION_CANCELLED,
        "The generation was cancelled",
        "the thread that waited for it was interrupted",
        "do not interrupt it, or wait for the result on another thread",
        e);
  }

  /** Ends the generation and forgets what was not taken. */
  void close() {
    Engine.Ticket how;
    lock.lock();
    try {
      closed = true;
      full = false;
      tokens.clear();
      how = outcome == null ? ticket : null;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    if (how != null) {
      how.cancel();
    }
  }

  /** Waits for a token; false where none comes any more. */
  boolean awaitToken() {
    lock.lock();
    try {
      while (tokens.isEmpty() && outcome == null && !closed) {
        changed.await();
      }
      if (closed) {
        return false;
      }
      RequestOutcome end = outcome;
      if (tokens.isEmpty() && end != null && end.failure() != null) {
        throw end.failure();
      }
      return !tokens.isEmpty();
    } catch (InterruptedException e) {
      throw interrupted(e);
    } finally {
      lock.unlock();
    }
  }

  /** Takes a token that is there. */
  Token takeToken() {
    Engine.Ticket how = null;
    Token token;
    lock.lock();
    try {
      token = tokens.removeFirst();
      if (full && tokens.size() <= capacity / 2) {
        full = false;
        how = ticket;
      }
    } finally {
      lock.unlock();
    }
    if (how != null) {
      how.resume();
    }
    return token;
  }

  /** The result in the terms of the API. */
  static Generation generation(RequestOutcome end) {
    List<Choice> choices = new ArrayList<>();
    int completion = 0;
    int reasoning = 0;
    for (ChoiceOutcome choice : end.choices()) {
      choices.add(choice(choices.size(), choice));
      completion += choice.tokens().size();
      reasoning += choice.reasoningTokens();
    }
    return new Generation(
        choices,
        new Usage(
            end.promptTokens(),
            end.cachedTokens(),
            completion,
            reasoning,
            end.drafts().drafted(),
            end.drafts().accepted()),
        new Timings(
            Duration.ofNanos(end.queueNanos()),
            Duration.ofNanos(end.prefillNanos()),
            Duration.ofNanos(end.decodeNanos()),
            end.promptTokens(),
            completion));
  }

  private static Choice choice(int index, ChoiceOutcome choice) {
    List<TokenLogprob> logprobs = new ArrayList<>();
    for (TokenEvent event : choice.tokens()) {
      logprobs.add(new TokenLogprob(event.token(), event.logprob(), alternatives(event)));
    }
    return new Choice(
        index,
        choice.text(),
        choice.reasoning(),
        choice.calls().stream().map(LiveGeneration::toolCall).toList(),
        finishReason(choice.reason()),
        choice.stop(),
        logprobs,
        choice.seed());
  }

  static FinishReason finishReason(EndReason reason) {
    return switch (reason) {
      case EOS -> FinishReason.EOS;
      case STOP -> FinishReason.STOP;
      case TOOL_CALLS -> FinishReason.TOOL_CALLS;
      case LENGTH -> FinishReason.LENGTH;
      case CONTEXT -> FinishReason.CONTEXT;
      case REPETITION -> FinishReason.REPETITION;
      case DEADLINE -> FinishReason.DEADLINE;
      case CANCELLED -> FinishReason.CANCELLED;
      case ERROR -> FinishReason.ERROR;
    };
  }
}
