package dev.fathom;

import dev.fathom.engine.Engine;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A future that ends its generation when it completes in any other way: cancelled, timed out by
 * {@code orTimeout}, completed by hand.
 */
final class GenerationFuture extends CompletableFuture<Generation> {

  private volatile Engine.@Nullable Ticket ticket;

  GenerationFuture() {
    var _ = whenComplete((result, failure) -> cancelGeneration());
  }

  void startedAs(Engine.Ticket how) {
    ticket = how;
    if (isDone()) {
      how.cancel();
    }
  }

  /** Notes that the generation has ended by itself. */
  void ended() {
    ticket = null;
  }

  private void cancelGeneration() {
    Engine.Ticket how = ticket;
    if (how != null) {
      how.cancel();
    }
  }
}
