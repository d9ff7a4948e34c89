package dev.fathom;

import dev.fathom.backend.Executable;
import dev.fathom.engine.BorrowedExecutable;
import dev.fathom.engine.Engine;
import dev.fathom.engine.EngineLimits;
import dev.fathom.engine.EngineOptions;
import dev.fathom.text.ChatMessage;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Requests that nobody made, to a model that nobody sees: what lies between a request and its steps
 * (prompt format, tokenizer, scheduler, sampler, stream) is interpreted at first too.
 *
 * <p>The model has an engine of its own on the executable of the real one, so that neither the
 * prefix cache nor the metrics of the real one know of it.
 */
final class Rehearsal {

  private static final Logger LOG = LoggerFactory.getLogger(Rehearsal.class);

  /** Most requests. */
  private static final int REQUESTS = 12;

  private static final int TOKENS = 16;
  private static final String QUESTION = "How many hours are there in a week? Explain it briefly.";

  private Rehearsal() {}

  /**
   * Answers until enough was answered or the time is over; an answer that began is finished. A
   * model that cannot answer is left alone: its user will be told why.
   *
   * @param executable that no engine uses yet
   * @param options it was compiled with
   * @param model makes a model of an engine
   * @param deadline as {@link System#nanoTime} counts
   */
  static void run(
      Executable executable,
      EngineOptions options,
      ModelText text,
      Function<Engine, DeepSeekModel> model,
      long deadline) {
    if (System.nanoTime() - deadline >= 0) {
      return;
    }
    BorrowedExecutable borrowed = new BorrowedExecutable(executable);
    try (Engine engine = new Engine(options, EngineLimits.DEFAULT, borrowed, text.tokenizer())) {
      DeepSeekModel understudy = model.apply(engine);
      int requests = 0;
      while (requests < REQUESTS && System.nanoTime() - deadline < 0) {
        try (TokenStream stream = understudy.stream(request(text))) {
          stream.forEach(token -> {});
        }
        requests++;
      }
      LOG.debug("rehearsed: requests={}", requests);
    } catch (RuntimeException e) {
      LOG.debug("not rehearsed", e);
    } finally {
      executable.expertLoads().clear();
    }
  }

  private static GenerationRequest request(ModelText text) {
    Prompt prompt =
        text.encoder() != null
            ? Prompt.chat(ChatMessage.user(QUESTION))
            : new Prompt.Text(QUESTION);
    return GenerationRequest.of(prompt).maxTokens(TOKENS).ignoreEos(true).build();
  }
}
