package dev.fathom.examples.soak;

import static dev.fathom.text.ChatMessage.user;

import dev.fathom.DeepSeekModel;
import dev.fathom.FinishReason;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.Token;
import dev.fathom.TokenStream;
import dev.fathom.error.EngineOverloadedException;
import java.time.Duration;
import java.util.Iterator;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A client that does whatever clients do: asks and waits, streams, reads slowly, hangs up, cancels,
 * sets a time, drops a stream without closing it, is refused and tries again.
 */
final class Client implements Runnable {

  private static final String[] QUESTIONS = {
    "What is the capital of Norway?",
    "What is 27 + 48?",
    "What is the capital of Japan?",
    "Say something about the sea, and do not stop."
  };

  private final DeepSeekModel model;
  private final Random random;
  private final AtomicBoolean stop;
  private final ClientLog log;

  Client(DeepSeekModel model, int number, AtomicBoolean stop, ClientLog log) {
    this.model = model;
    this.random = new Random(number);
    this.stop = stop;
    this.log = log;
  }

  @Override
  public void run() {
    while (!stop.get()) {
      try {
        act();
      } catch (EngineOverloadedException e) {
        log.add("refused");
        sleep(e.retryAfter().toMillis());
      } catch (RuntimeException | Error e) {
        log.addUnexpected(e);
      }
    }
  }

  private void act() {
    switch (random.nextInt(8)) {
      case 0, 1 -> ask();
      case 2 -> stream(Integer.MAX_VALUE, 0);
      case 3 -> stream(1 + random.nextInt(10), 0);
      case 4 -> stream(20, 20);
      case 5 -> cancel();
      case 6 -> hurry();
      default -> drop();
    }
  }

  private GenerationRequest.Builder request() {
    String question = QUESTIONS[random.nextInt(QUESTIONS.length)];
    return GenerationRequest.of(Prompt.chat(user(question)).thinking(random.nextInt(4) == 0))
        .temperature(random.nextInt(2))
        .seed(random.nextLong())
        .n(1 + random.nextInt(2))
        .maxTokens(1 + random.nextInt(60))
        .streamBuffer(1 + random.nextInt(16));
  }

  private void ask() {
    Generation answer = model.generate(request().build());
    log.add("answered " + answer.finishReason());
  }

  private void stream(int most, long pauseMillis) {
    int taken = 0;
    try (TokenStream stream = model.stream(request().build())) {
      Iterator<Token> tokens = stream.iterator();
      while (taken < most && tokens.hasNext()) {
        tokens.next();
        taken++;
        if (pauseMillis > 0) {
          sleep(pauseMillis);
        }
      }
    }
    log.add(pauseMillis > 0 ? "read slowly" : most == Integer.MAX_VALUE ? "streamed" : "hung up");
  }

  private void cancel() {
    CompletableFuture<Generation> future = model.submit(request().build());
    sleep(random.nextInt(50));
    if (future.cancel(true)) {
      log.add("cancelled");
      return;
    }
    try {
      future.join();
      log.add("too late to cancel");
    } catch (CompletionException e) {
      log.addUnexpected(e);
    }
  }

  private void hurry() {
    Duration timeout = Duration.ofMillis(1 + random.nextInt(2_000));
    Generation answer = model.generate(request().timeout(timeout).build());
    log.add(answer.finishReason() == FinishReason.DEADLINE ? "out of time" : "in time");
  }

  private void drop() {
    Iterator<Token> tokens = model.stream(request().build()).iterator();
    if (tokens.hasNext()) {
      tokens.next();
    }
    log.add("dropped");
  }

  private static void sleep(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}
