package dev.fathom.sampling;

import dev.fathom.backend.RowProcessor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The processors of a choice, run one after the other over its rows. A failure is kept and the row
 * left without an allowed token, so that the step of the others goes on. One thread.
 */
public final class ProcessorChain implements RowProcessor {

  private final List<LogitsProcessor> processors;
  private final TokenHistory history;
  private final LogitsRow row = new LogitsRow();
  private @Nullable Throwable failure;

  /** Binds processors to the tokens of a choice. */
  public ProcessorChain(List<LogitsProcessor> processors, TokenHistory history) {
    this.processors = processors;
    this.history = history;
  }

  @Override
  public void process(float[] logits, int offset, int vocabSize) {
    row.set(logits, offset, vocabSize);
    try {
      for (int i = 0; i < processors.size(); i++) {
        processors.get(i).process(history, row);
      }
    } catch (Throwable t) {
      failure = t;
      row.set(logits, offset, vocabSize);
      row.forbidAll();
    }
    row.set(logits, offset, 0);
  }

  /** Returns what a processor threw, or null. */
  public @Nullable Throwable failure() {
    return failure;
  }
}
