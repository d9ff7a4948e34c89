package dev.fathom.engine;

import dev.fathom.text.OutputEvent;
import dev.fathom.text.OutputParser;
import dev.fathom.text.TokenDecoder;
import dev.fathom.text.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a choice has put out: tokens become text, stop strings are looked for, the rest is split
 * into reasoning, content and calls. Used by the engine's thread alone.
 */
final class ChoiceOutput {

  private final TokenDecoder decoder;
  private final StopMatcher stops;
  private final @Nullable OutputParser parser;
  private final int minTokens;
  private final StringBuilder text = new StringBuilder();
  private final StringBuilder reasoning = new StringBuilder();
  private final List<OutputEvent.Call> calls = new ArrayList<>();
  private final List<TokenEvent> tokens = new ArrayList<>();
  private boolean inReasoning;
  private int reasoningTokens;
  private @Nullable EndReason reason;
  private @Nullable String stop;

  ChoiceOutput(Tokenizer tokenizer, EngineRequest request) {
    this.decoder = new TokenDecoder(tokenizer);
    this.stops = new StopMatcher(request.stops());
    this.parser = request.parser() == null ? null : request.parser().get();
    this.minTokens = request.minTokens();
    this.inReasoning = parser != null && request.startsReasoning();
  }

  int numTokens() {
    return tokens.size();
  }

  boolean ended() {
    return reason != null;
  }

  boolean hasCalls() {
    return !calls.isEmpty();
  }

  @Nullable String matchedStop() {
    return stops.matched();
  }

  /** Takes a token that is text; an end token is not. */
  List<OutputEvent> decode(int token) {
    String piece = decoder.accept(token);
    boolean counts = tokens.size() + 1 > minTokens;
    return parse(counts ? stops.accept(piece) : stops.pass(piece));
  }

  /** Releases what was held back. */
  List<OutputEvent> flush() {
    String rest = matchedStop() == null ? stops.accept(decoder.flush()) : "";
    List<OutputEvent> events = new ArrayList<>(parse(rest + stops.flush()));
    if (parser != null) {
      events.addAll(note(parser.finish()));
    }
    return events;
  }

  private List<OutputEvent> parse(String piece) {
    if (piece.isEmpty()) {
      return List.of();
    }
    return note(parser == null ? List.of(new OutputEvent.Content(piece)) : parser.accept(piece));
  }

  private List<OutputEvent> note(List<OutputEvent> events) {
    for (OutputEvent event : events) {
      switch (event) {
        case OutputEvent.Reasoning r -> reasoning.append(r.text());
        case OutputEvent.Content c -> text.append(c.text());
        case OutputEvent.Call call -> calls.add(call);
      }
      inReasoning = event instanceof OutputEvent.Reasoning;
    }
    return events;
  }

  /** Notes a token and returns the event that tells of it. */
  TokenEvent token(
      int choice, int token, float logprob, List<TokenEvent.Ranked> top, List<OutputEvent> events) {
    reasoningTokens += inReasoning ? 1 : 0;
    int index = tokens.size();
    tokens.add(new TokenEvent(choice, index, token, logprob, top, inReasoning, List.of()));
    return new TokenEvent(choice, index, token, logprob, top, inReasoning, events);
  }

  void end(EndReason endReason, @Nullable String endStop) {
    if (reason == null) {
      reason = endReason;
      stop = endStop;
    }
  }

  ChoiceOutcome outcome(long seed) {
    return new ChoiceOutcome(
        reason == null ? EndReason.ERROR : reason,
        stop,
        text.toString(),
        reasoning.toString(),
        calls,
        tokens,
        reasoningTokens,
        seed);
  }
}
