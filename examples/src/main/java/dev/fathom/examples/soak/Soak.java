package dev.fathom.examples.soak;

import dev.fathom.DeepSeekModel;
import dev.fathom.EngineMetrics;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Lets clients work on one model for a while, then checks that nothing was lost.
 *
 * <p>{@code Soak MODEL [clients=400] [seconds=600] [backend=auto]}: a line every ten seconds; the
 * exit code is 1 where a block, a thread or memory leaked or a request did not end as it must.
 */
public final class Soak {

  private static final Duration REPORT = Duration.ofSeconds(10);
  private static final long MAX_GROWTH_BYTES = 64L << 20;

  private final DeepSeekModel model;
  private final int numClients;
  private final Duration duration;
  private final PrintStream out;

  Soak(DeepSeekModel model, int numClients, Duration duration, PrintStream out) {
    this.model = model;
    this.numClients = numClients;
    this.duration = duration;
    this.out = out;
  }

  /** Takes the folder of a checkpoint, and optionally clients, seconds and backend. */
  public static void main(String[] args) throws IOException, InterruptedException {
    int clients = args.length > 1 ? Integer.parseInt(args[1]) : 400;
    Duration duration = Duration.ofSeconds(args.length > 2 ? Long.parseLong(args[2]) : 600);
    boolean passed;
    try (DeepSeekModel model =
        DeepSeekModel.builder(Path.of(args[0]))
            .backend(args.length > 3 ? args[3] : "auto")
            .contextTokens(512)
            .maxSequences(16)
            .maxQueuedRequests(200)
            .load()) {
      passed = new Soak(model, clients, duration, System.out).run();
    }
    if (!passed) {
      System.exit(1);
    }
  }

  /** Returns whether nothing was lost. */
  boolean run() throws IOException, InterruptedException {
    AtomicBoolean stop = new AtomicBoolean();
    ClientLog log = new ClientLog();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < numClients; i++) {
      Thread thread = new Thread(new Client(model, i, stop, log), "client-" + i);
      threads.add(thread);
      thread.start();
    }
    List<ProcessState> states = watch();
    stop.set(true);
    for (Thread thread : threads) {
      thread.join();
    }
    return judge(states, log);
  }

  private List<ProcessState> watch() throws IOException, InterruptedException {
    List<ProcessState> states = new ArrayList<>();
    long end = System.nanoTime() + duration.toNanos();
    long begin = System.nanoTime();
    while (System.nanoTime() < end) {
      long left = Math.max(1, (end - System.nanoTime()) / 1_000_000);
      Thread.sleep(Math.min(REPORT.toMillis(), left));
      ProcessState state = ProcessState.now();
      states.add(state);
      report((System.nanoTime() - begin) / 1_000_000_000, state);
    }
    return states;
  }

  private void report(long second, ProcessState state) {
    EngineMetrics m = model.metrics();
    out.printf(
        Locale.ROOT,
        "%4d s  running %3d waiting %4d paused %3d kv %5.1f %%  steps %7d tokens %8d rejected %7d"
            + "  rss %5d MiB threads %4d fds %3d  ttft p50 <= %.2f s p99 <= %.2f s%n",
        second,
        m.runningSequences(),
        m.waitingRequests(),
        m.pausedRequests(),
        100 * m.kvUsage(),
        m.steps(),
        m.generationTokens(),
        m.rejectedRequests(),
        state.residentBytes() >> 20,
        state.threads(),
        state.openFiles(),
        m.histograms().timeToFirstToken().quantile(0.5),
        m.histograms().timeToFirstToken().quantile(0.99));
  }

  private boolean judge(List<ProcessState> states, ClientLog log) throws InterruptedException {
    for (int i = 0; i < 400 && model.usedKvBlocks() > 0; i++) {
      Thread.sleep(10);
    }
    EngineMetrics m = model.metrics();
    out.println("clients saw: " + log);
    out.println("finished: " + m.finished());
    boolean passed = check("used KV blocks", model.usedKvBlocks(), 0);
    passed &= check("running and waiting", m.runningSequences() + m.waitingRequests(), 0);
    passed &= check("unexpected failures", log.unexpected(), 0);
    ProcessState middle = states.get(states.size() / 2);
    ProcessState last = states.getLast();
    passed &= check("threads grown since the middle", last.threads() - middle.threads(), 8);
    passed &= check("files grown since the middle", last.openFiles() - middle.openFiles(), 0);
    long grown = last.residentBytes() - middle.residentBytes();
    passed &= check("bytes resident grown since the middle", grown, MAX_GROWTH_BYTES);
    out.println(passed ? "passed" : "FAILED");
    return passed;
  }

  private boolean check(String what, long value, long most) {
    out.println((value <= most ? "ok      " : "FAILED  ") + what + ": " + value);
    return value <= most;
  }
}
