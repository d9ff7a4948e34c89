package dev.fathom.engine;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/**
 * The events of an engine in Java Flight Recorder. Numbers only: no prompt, no text, no token id.
 * What comes once a request is recorded by default, what comes once a step has to be asked for.
 */
final class EngineEvents {

  private EngineEvents() {}

  /** A step of the model. */
  @Name("dev.fathom.Step")
  @Label("Step")
  @Category("Fathom")
  @Description("A step of the model over the tokens of several sequences")
  @Enabled(false)
  @StackTrace(false)
  static final class Step extends Event {

    @Label("Sequences")
    int sequences;

    @Label("Tokens")
    int tokens;

    @Label("Used KV blocks")
    int usedBlocks;
  }

  /** The end of a request. */
  @Name("dev.fathom.Request")
  @Label("Request")
  @Category("Fathom")
  @Description("A request ended")
  @StackTrace(false)
  static final class Request extends Event {

    @Label("Prompt tokens")
    int promptTokens;

    @Label("Tokens put out by all choices")
    int generationTokens;

    @Label("Choices")
    int choices;

    @Label("Why the first choice ended")
    String finishReason = "";

    @Label("Submission to first step")
    @Timespan(Timespan.NANOSECONDS)
    long queueNanos;

    @Label("First step to first token")
    @Timespan(Timespan.NANOSECONDS)
    long prefillNanos;

    @Label("First token to end")
    @Timespan(Timespan.NANOSECONDS)
    long decodeNanos;
  }

  /** Sequences lost their KV blocks. */
  @Name("dev.fathom.Preemption")
  @Label("Preemption")
  @Category("Fathom")
  @Description("Sequences lost their KV blocks and will be computed again")
  @StackTrace(false)
  static final class Preemption extends Event {

    @Label("Sequences preempted in a step")
    long sequences;
  }

  /** A prompt had a prefix in the cache. */
  @Name("dev.fathom.CacheHit")
  @Label("Prefix cache hit")
  @Category("Fathom")
  @Description("A part of a prompt was in the prefix cache")
  @Enabled(false)
  @StackTrace(false)
  static final class CacheHit extends Event {

    @Label("Tokens of the sequences that started in a step")
    long queried;

    @Label("Tokens in the cache")
    long hits;
  }

  /** A draft was verified. */
  @Name("dev.fathom.Draft")
  @Label("Draft")
  @Category("Fathom")
  @Description("Drafted tokens were verified")
  @Enabled(false)
  @StackTrace(false)
  static final class Draft extends Event {

    @Label("Drafted tokens")
    int tokens;

    @Label("Accepted tokens")
    int accepted;
  }
}
