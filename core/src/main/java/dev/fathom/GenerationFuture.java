package dev.fathom;

import dev.fathom.engine.Engine;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** A future whose cancelling cancels the generation. */
final class GenerationFuture extends CompletableFuture<Generation> {

  private volatile Engine.@Nullable Ticket cancellation;

  void startedAs(Engine.Ticket how) {
    cancellation = how;
    if (isCancelled()) {
      how.cancel();
    }
  }

  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    boolean cancelled = super.cancel(mayInterruptIfRunning);
    Engine.Ticket how = cancellation;
    if (cancelled && how != null) {
      how.cancel();
    }
    return cancelled;
  }
}
