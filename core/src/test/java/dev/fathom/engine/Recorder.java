package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** Keeps what a request's listener hears, and that it hears of one end, the last thing. */
final class Recorder implements RequestListener {

  private final CountDownLatch ended = new CountDownLatch(1);
  private final List<TokenEvent> events = new ArrayList<>();
  private final Consumer<TokenEvent> onToken;
  private final List<String> violations = new ArrayList<>();
  private volatile RequestOutcome outcome;

  Recorder() {
    this(event -> {});
  }

  Recorder(Consumer<TokenEvent> onToken) {
    this.onToken = onToken;
  }

  @Override
  public synchronized void onToken(TokenEvent event) {
    if (outcome != null) {
      violations.add("a token after the end");
    }
    long before = events.stream().filter(e -> e.choice() == event.choice()).count();
    if (event.index() != before) {
      violations.add("index " + event.index() + " after " + before + " tokens");
    }
    events.add(event);
    onToken.accept(event);
  }

  @Override
  public synchronized void onEnd(RequestOutcome end) {
    if (outcome != null) {
      violations.add("a second end");
    }
    outcome = end;
    ended.countDown();
  }

  RequestOutcome await() {
    try {
      assertThat(ended.await(60, TimeUnit.SECONDS)).as("the request ends").isTrue();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    synchronized (this) {
      assertThat(violations).isEmpty();
    }
    return outcome;
  }

  boolean hasEnded() {
    return outcome != null;
  }

  int[] tokens(int choice) {
    return await().choices().get(choice).tokens().stream().mapToInt(TokenEvent::token).toArray();
  }
}
