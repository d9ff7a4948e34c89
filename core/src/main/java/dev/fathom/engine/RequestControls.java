package dev.fathom.engine;

import dev.fathom.sampling.LogitsProcessor;
import dev.fathom.sampling.RepetitionGuard;
import dev.fathom.sampling.TokenConstraint;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What steers a request besides its sampling parameters. Immutable.
 *
 * @param timeoutNanos from submission until it ends with {@link EndReason#DEADLINE}; {@link
 *     #NO_TIMEOUT} for none
 * @param constraints each makes a constraint for every choice, on the engine's thread; they decide
 *     the mask of the next row. Grammars go here
 * @param processors change logits, in their order
 * @param repetition ends a choice that repeats itself, null for none
 * @param drafts guesses tokens ahead of each step
 * @param placement priority and tenant
 * @param beams a beam search instead of sampling, null for none
 */
public record RequestControls(
    long timeoutNanos,
    List<Supplier<TokenConstraint>> constraints,
    List<LogitsProcessor> processors,
    @Nullable RepetitionGuard repetition,
    DraftOptions drafts,
    Placement placement,
    @Nullable BeamOptions beams) {

  /** The timeout of a request without one. */
  public static final long NO_TIMEOUT = Long.MAX_VALUE;

  /** No controls. */
  public static final RequestControls NONE =
      new RequestControls(NO_TIMEOUT, List.of(), List.of(), null);

  /** Copies the lists. */
  public RequestControls {
    constraints = List.copyOf(constraints);
    processors = List.copyOf(processors);
  }

  /** Controls without guesses, of a request that is placed like most. */
  public RequestControls(
      long timeoutNanos,
      List<Supplier<TokenConstraint>> constraints,
      List<LogitsProcessor> processors,
      @Nullable RepetitionGuard repetition) {
    this(
        timeoutNanos,
        constraints,
        processors,
        repetition,
        DraftOptions.NONE,
        Placement.DEFAULT,
        null);
  }

  /** Returns these controls with other guesses. */
  public RequestControls drafting(DraftOptions others) {
    return new RequestControls(
        timeoutNanos, constraints, processors, repetition, others, placement, beams);
  }

  /** Returns these controls with a beam search; null for none. */
  public RequestControls searching(@Nullable BeamOptions how) {
    return new RequestControls(
        timeoutNanos, constraints, processors, repetition, drafts, placement, how);
  }

  /** Returns these controls with another placement. */
  public RequestControls placed(Placement other) {
    return new RequestControls(
        timeoutNanos, constraints, processors, repetition, drafts, other, beams);
  }

  /** Returns these controls with one more constraint. */
  public RequestControls constrainedBy(Supplier<TokenConstraint> constraint) {
    List<Supplier<TokenConstraint>> more = new ArrayList<>(constraints);
    more.add(constraint);
    return new RequestControls(
        timeoutNanos, more, processors, repetition, drafts, placement, beams);
  }

  /** Returns these controls with one more processor. */
  public RequestControls processedBy(LogitsProcessor processor) {
    List<LogitsProcessor> more = new ArrayList<>(processors);
    more.add(processor);
    return new RequestControls(
        timeoutNanos, constraints, more, repetition, drafts, placement, beams);
  }
}
