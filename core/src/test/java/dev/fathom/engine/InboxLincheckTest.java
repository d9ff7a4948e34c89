package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.backend.SamplingParams;
import dev.fathom.error.BackendException;
import dev.fathom.error.EngineOverloadedException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.text.Tokenizer;
import java.nio.file.Path;
import java.util.List;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.jetbrains.lincheck.datastructures.StressOptions;
import org.junit.jupiter.api.Test;

/**
 * The hand-off from callers to the engine's thread is linearizable: whatever threads do at once has
 * an order in which one thread would have seen the same. Lincheck tries the interleavings.
 */
@Param(name = "tokens", gen = IntGen.class, conf = "1:3")
public class InboxLincheckTest {

  private static final Tokenizer TOKENIZER =
      Tokenizer.load(Path.of("..", "examples", "models", "sample", "tokenizer.json"));
  private static final RunningRequest[] REQUESTS = {request(1), request(2), request(3)};

  private final Inbox inbox = new Inbox(2, 4);
  private int taken;

  private static RunningRequest request(int tokens) {
    EngineRequest spec =
        new EngineRequest(
            new int[tokens],
            1,
            0,
            List.of(SamplingParams.GREEDY),
            new int[0],
            new int[0],
            List.of(),
            null,
            false);
    return new RunningRequest(spec, new SilentListener(), TOKENIZER, null, 0);
  }

  private static final class SilentListener implements RequestListener {
    @Override
    public void onToken(TokenEvent event) {
      throw new IllegalStateException("nothing runs");
    }

    @Override
    public void onEnd(RequestOutcome outcome) {
      throw new IllegalStateException("nothing ends");
    }
  }

  /** A client submits. */
  @Operation
  public String submit(@Param(name = "tokens") int tokens) {
    RunningRequest request = REQUESTS[tokens - 1];
    try {
      inbox.submit(request, () -> taken = tokens);
      return "taken";
    } catch (EngineOverloadedException e) {
      return "full";
    } catch (GenerationException e) {
      return "closed";
    } catch (BackendException e) {
      return "broken";
    }
  }

  /** The engine's thread takes the next command. */
  @Operation(nonParallelGroup = "engine")
  public int next() {
    taken = 0;
    Runnable command = inbox.poll();
    if (command != null) {
      command.run();
    }
    return taken;
  }

  /** The engine's thread starts what it took. */
  @Operation(nonParallelGroup = "engine")
  public void start() {
    if (taken > 0) {
      inbox.left(REQUESTS[taken - 1]);
      taken = 0;
    }
  }

  /** Somebody closes the model. */
  @Operation
  public void close() {
    inbox.shut(Inbox.modelClosed());
  }

  /** The engine's thread finds its backend broken. */
  @Operation(nonParallelGroup = "engine")
  public void lose() {
    inbox.shut(new BackendException(ErrorCode.BACKEND_BROKEN, "Lost", "planned", "restart"));
  }

  /** Somebody looks. */
  @Operation
  public int numWaiting() {
    return inbox.numWaiting();
  }

  @Test
  void everyInterleavingHasAnOrder() {
    exhaustively(6, 150).check(InboxLincheckTest.class);
  }

  @Test
  void threadsAtFullSpeedHaveAnOrder() {
    new StressOptions()
        .iterations(4)
        .invocationsPerIteration(500)
        .threads(3)
        .actorsPerThread(3)
        .check(InboxLincheckTest.class);
  }

  private static ModelCheckingOptions exhaustively(int scenarios, int interleavings) {
    return new ModelCheckingOptions()
        .iterations(scenarios)
        .invocationsPerIteration(interleavings)
        .threads(3)
        .actorsPerThread(3)
        .actorsBefore(1)
        .actorsAfter(1);
  }

  /** A door that looks for room first and takes the request then. */
  @Param(name = "tokens", gen = IntGen.class, conf = "1:3")
  public static final class LeakyDoor {

    private final Inbox inbox = new Inbox(100, 100);

    /** A client submits. */
    @Operation
    public String submit(@Param(name = "tokens") int tokens) {
      if (inbox.numWaiting() >= 1) {
        return "full";
      }
      inbox.submit(REQUESTS[tokens - 1], () -> {});
      return "taken";
    }
  }

  @Test
  void aDoorThatChecksAndActsInTwoStepsIsFound() {
    assertThatThrownBy(() -> exhaustively(20, 100).actorsBefore(0).check(LeakyDoor.class))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("Invalid execution results");
  }
}
