package dev.fathom.text;

import static dev.fathom.text.ControlTokens.THINK;

import dev.fathom.text.OutputEvent.Content;
import dev.fathom.text.OutputEvent.Reasoning;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Splits a model's answer into reasoning, content and calls while it comes.
 *
 * <p>Works on text, so that a tag may be one token or several and may be cut anywhere: the events,
 * with neighbours of one kind joined, do not depend on where. At most a started tag is held back,
 * and a started call until it ends. Nothing the model wrote is lost and nothing it writes raises an
 * exception: what is not well formed (a call that is not closed, has no name or no JSON object as
 * arguments, a tag inside it, a closing tag without reasoning) comes out as content. A call inside
 * reasoning ends the reasoning. The tags themselves are left out.
 *
 * <p>For one answer; not safe for several threads.
 */
public final class OutputParser {

  /** The text that opens reasoning, a token of its own in most vocabularies. */
  public static final String REASONING_START = ControlTokens.THINK;

  /** The text that closes reasoning, a token of its own in most vocabularies. */
  public static final String REASONING_END = ControlTokens.END_THINK;

  /** What an answer starts with. */
  enum Start {
    CONTENT,
    REASONING,
    /** Reasoning if it is closed some day, else content. */
    UNDECIDED
  }

  private enum State {
    CONTENT,
    REASONING,
    CALLS
  }

  private final OutputGrammar grammar;
  private final TokenDecoder decoder;
  private final int endId;
  private final CallBlock calls;
  private List<String> contentMarks;
  private final List<String> reasoningMarks;
  private final StringBuilder pending = new StringBuilder();

  /** Reasoning of an answer that may turn out to be content. */
  private final StringBuilder undecided = new StringBuilder();

  private List<OutputEvent> events = new ArrayList<>();
  private State state;
  private boolean deciding;

  /** Whether nothing has come yet, so that an opening tag repeats what the prompt said. */
  private boolean fresh;

  /** Line feeds that still belong to the last tag. */
  private int newlinesToSkip;

  OutputParser(Tokenizer tokenizer, OutputGrammar grammar, Start start) {
    this(tokenizer, grammar, start, tokenizer.tokenId(ControlTokens.END));
  }

  OutputParser(Tokenizer tokenizer, OutputGrammar grammar, Start start, int endId) {
    this.grammar = grammar;
    this.decoder = new TokenDecoder(tokenizer);
    this.endId = endId;
    this.calls = grammar.calls().get();
    this.contentMarks = grammar.contentMarks();
    this.reasoningMarks = grammar.reasoningMarks();
    this.state = start == Start.CONTENT ? State.CONTENT : State.REASONING;
    this.deciding = start == Start.UNDECIDED;
    this.fresh = start != Start.CONTENT;
  }

  /** Returns whether the text that comes next is reasoning, as far as is known. */
  public boolean isInReasoning() {
    return state == State.REASONING;
  }

  /**
   * Takes all content as it is: once reasoning is over, if there is any, no tag and no call is
   * looked for. For answers that follow a grammar. Call it before the first text.
   *
   * @return this parser
   */
  public OutputParser withLiteralContent() {
    contentMarks = List.of();
    return this;
  }

  /** Returns how calls are written, null where the family has none. */
  public @Nullable CallNotation callNotation() {
    return grammar.notation();
  }

  /** Returns how many line feeds behind the end of reasoning are not content. */
  public int newlinesAfterReasoning() {
    return grammar.newlinesAroundTags() ? 2 : 0;
  }

  /**
   * Takes the next token.
   *
   * @param tokenId the end token of the family adds nothing
   * @return the events it completes, often none
   */
  public List<OutputEvent> acceptToken(int tokenId) {
    return tokenId == endId ? List.of() : accept(decoder.accept(tokenId));
  }

  /** Takes the next text, cut anywhere, and returns the events it completes, often none. */
  public List<OutputEvent> accept(String text) {
    if (text.isEmpty()) {
      return List.of();
    }
    pending.append(text);
    drain(false);
    return take();
  }

  /** Ends the answer and returns what was held back. */
  public List<OutputEvent> finish() {
    pending.append(decoder.flush());
    drain(true);
    return take();
  }

  private List<OutputEvent> take() {
    List<OutputEvent> taken = events;
    events = new ArrayList<>();
    return List.copyOf(taken);
  }

  private void drain(boolean last) {
    boolean more = true;
    while (more) {
      more = state == State.CALLS ? drainCalls(last) : drainText(last);
    }
    if (last && state == State.REASONING && deciding) {
      decide(false);
    }
  }

  /** Takes text up to the next mark; returns whether to go on. */
  private boolean drainText(boolean last) {
    if (skipNewlines() || skipRepeatedTag(last)) {
      return false;
    }
    Marks.Found found =
        Marks.first(pending, state == State.CONTENT ? contentMarks : reasoningMarks);
    if (found == null) {
      int held =
          last
              ? 0
              : Marks.heldBack(pending, state == State.CONTENT ? contentMarks : reasoningMarks);
      emitText(pending.length() - held);
      return false;
    }
    emitText(found.start());
    pending.delete(0, found.mark().length());
    enter(found.mark());
    return true;
  }

  private void enter(String mark) {
    if (grammar.openings().contains(mark)) {
      if (state == State.REASONING) {
        decide(false);
      }
      state = State.CALLS;
      calls.begin(mark);
    } else if (mark.equals(THINK)) {
      state = State.REASONING;
      newlinesToSkip = grammar.newlinesAroundTags() ? 1 : 0;
    } else {
      decide(true);
      state = State.CONTENT;
      newlinesToSkip = grammar.newlinesAroundTags() ? 2 : 0;
    }
  }

  /** Drops line feeds of the last tag; returns whether more of them may come. */
  private boolean skipNewlines() {
    while (newlinesToSkip > 0 && !pending.isEmpty()) {
      if (pending.charAt(0) != '\n') {
        newlinesToSkip = 0;
        return false;
      }
      pending.deleteCharAt(0);
      newlinesToSkip--;
    }
    return pending.isEmpty();
  }

  /** Drops an opening tag that repeats the prompt's; returns whether more must come to know. */
  private boolean skipRepeatedTag(boolean last) {
    if (!fresh) {
      return false;
    }
    if (!last && pending.length() < THINK.length() && THINK.startsWith(pending.toString())) {
      return true;
    }
    fresh = false;
    if (pending.indexOf(THINK) == 0) {
      pending.delete(0, THINK.length());
      newlinesToSkip = grammar.newlinesAroundTags() ? 1 : 0;
      return skipNewlines();
    }
    return false;
  }

  private boolean drainCalls(boolean last) {
    CallBlock.Step step = calls.next(pending, last);
    pending.delete(0, step.consumed());
    if (!step.content().isEmpty()) {
      emit(step.content(), true);
    }
    if (step.call() != null) {
      events.add(step.call());
    }
    if (step.ended()) {
      state = State.CONTENT;
    }
    return step.consumed() > 0 || step.ended();
  }

  private void emitText(int len) {
    if (len == 0) {
      return;
    }
    String text = pending.substring(0, len);
    pending.delete(0, len);
    if (state == State.REASONING && deciding) {
      undecided.append(text);
    } else {
      emit(text, state == State.CONTENT);
    }
  }

  /** Ends the doubt about what the held-back reasoning is. */
  private void decide(boolean isReasoning) {
    deciding = false;
    if (!undecided.isEmpty()) {
      emit(undecided.toString(), !isReasoning);
      undecided.setLength(0);
    }
  }

  private void emit(String text, boolean isContent) {
    events.add(isContent ? new Content(text) : new Reasoning(text));
  }
}
