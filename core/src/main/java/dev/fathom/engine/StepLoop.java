package dev.fathom.engine;

import dev.fathom.backend.Executable;
import dev.fathom.backend.SampledRows;
import dev.fathom.backend.SamplingRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.error.BackendException;
import dev.fathom.sampling.HostSampler;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the engine's thread does: take commands, look around, plan a step, run it, deliver; until
 * the inbox is shut and, where it drains, everything has ended.
 *
 * <p>A step that fails fails its requests and the loop goes on. A broken backend ends the loop at
 * once. Other threads see the volatile fields only.
 */
final class StepLoop implements Runnable {

  private static final Logger log = LoggerFactory.getLogger(StepLoop.class);

  private final StepRunner steps;
  private final Scheduler scheduler;
  private final RequestTable requests;
  private final Delivery delivery;
  private final Inbox inbox;
  private final EngineTelemetry telemetry;
  private final StepPlan plan;
  private final StepBatch batch;
  private final SamplingRows rows;
  private final HostSampler sampler = new HostSampler();
  private final List<Probe> probes = new ArrayList<>();
  private final DraftVerifier verifier;
  private final Drafter drafter;
  private final CountDownLatch stopped = new CountDownLatch(1);
  private boolean blocked;
  private boolean probesTurn;
  private boolean probeWaits;
  private @Nullable Probe probing;
  private final List<Runnable> atTheEnd = new ArrayList<>();
  private boolean hasLeft;
  private volatile boolean aborts;
  private volatile boolean drains;
  private volatile boolean isWaiting = true;
  private volatile long progressNanos = System.nanoTime();
  private volatile long slowestStepNanos;

  StepLoop(
      EngineOptions options,
      Executable executable,
      Inbox inbox,
      EngineAdapters adapters,
      EngineTelemetry telemetry,
      Scheduler scheduler) {
    this.steps = new StepRunner(executable);
    this.inbox = inbox;
    int numGroups = executable.numKvGroups();
    if (options.pools().size() != numGroups) {
      throw new IllegalArgumentException(
          "must have a pool for each of " + numGroups + " groups: pools=" + options.pools().size());
    }
    this.scheduler = scheduler;
    this.telemetry = telemetry;
    this.requests = new RequestTable(options, scheduler, inbox, adapters, telemetry, numGroups);
    this.delivery = new Delivery(options, scheduler, requests, telemetry);
    this.plan = new StepPlan(options.maxSequences(), numGroups);
    this.batch = executable.newBatch();
    this.rows = new SamplingRows(options.maxRows());
    this.verifier = new DraftVerifier(sampler, options.maxRows());
    this.drafter = new Drafter(options, executable, steps);
  }

  /** Returns the commands that admit and drop; they run on the engine's thread. */
  Runnable admission(RunningRequest request) {
    return () -> requests.admit(request);
  }

  Runnable arrival(Probe probe) {
    return () -> probes.add(probe);
  }

  Runnable departure(Probe probe) {
    return () -> {
      probes.remove(probe);
      probe.unpin(scheduler);
    };
  }

  int usedBlocks() {
    return requests.usedBlocks();
  }

  /** Ends the loop: now, or after all requests ended. The inbox was shut before. */
  void stop(boolean drain) {
    if (drain) {
      drains = true;
    } else {
      aborts = true;
    }
    inbox.nudge();
    if (aborts) {
      steps.abort();
    }
  }

  /** Returns what is counted down after the last request ended. */
  CountDownLatch stopped() {
    return stopped;
  }

  /**
   * Ends all requests on the calling thread, while the engine's is inside a step; call {@link
   * #stop} before.
   *
   * @return false where no step runs: the engine's thread is about to do it itself
   */
  boolean takeOver() {
    if (!steps.takeOver()) {
      return false;
    }
    log.warn("engine closed while a step runs: its memory is freed when the step ends");
    endAllAndTell();
    return true;
  }

  /** Returns whether the thread is inside a step that whoever closed did not wait for. */
  boolean isTakenOver() {
    return steps.isTakenOver();
  }

  /** Does something on the engine's thread before it ends, or now where it has ended. */
  void whenLeft(Runnable action) {
    synchronized (atTheEnd) {
      if (!hasLeft) {
        atTheEnd.add(action);
        return;
      }
    }
    action.run();
  }

  /** Returns whether the thread has ended, but for what {@link #whenLeft} asked of it. */
  boolean hasLeft() {
    synchronized (atTheEnd) {
      return hasLeft;
    }
  }

  private void leave() {
    List<Runnable> actions;
    synchronized (atTheEnd) {
      hasLeft = true;
      actions = List.copyOf(atTheEnd);
      atTheEnd.clear();
    }
    for (Runnable action : actions) {
      try {
        action.run();
      } catch (RuntimeException | Error e) {
        log.error("freeing failed: reason={}", e.toString(), e);
      }
    }
  }

  /** Returns whether the thread waits for commands: it makes progress by doing nothing. */
  boolean isWaiting() {
    return isWaiting;
  }

  /** Returns when the thread last ended a step or a wait. */
  long progressNanos() {
    return progressNanos;
  }

  long slowestStepNanos() {
    return slowestStepNanos;
  }

  @Override
  public void run() {
    try {
      while (!aborts && !hasDrained()) {
        turn(System::nanoTime);
      }
    } catch (RuntimeException | Error e) {
      if (!steps.isTakenOver()) {
        inbox.shut(StepFailure.broken(e));
        log.error("engine stopped: reason={}", e.toString(), e);
      }
    }
    try {
      if (!steps.isTakenOver()) {
        endAllAndTell();
      }
    } finally {
      leave();
    }
  }

  private void endAllAndTell() {
    try {
      endAll();
    } finally {
      stopped.countDown();
    }
  }

  /** The inbox was shut before, so what is in neither place was heard of. */
  private boolean hasDrained() {
    return drains && inbox.isEmpty() && requests.isEmpty() && probes.isEmpty();
  }

  /** Does one round; the clock is handed in so that a simulation can have its own. */
  void turn(LongSupplier clock) {
    boolean idle = requests.isEmpty() && probes.isEmpty();
    Runnable command = idle || blocked ? await() : inbox.poll();
    while (command != null) {
      command.run();
      command = inbox.poll();
    }
    requests.lookAround(clock.getAsLong());
    if (!aborts) {
      boolean ran = probesTurn ? runProbe() || runStep() : runStep() || runProbe();
      probesTurn = !probesTurn;
      blocked = !ran;
    }
    if (!steps.isTakenOver()) {
      requests.noteUsedBlocks();
    }
  }

  /** Waits for a command, or until something must be looked after. */
  private @Nullable Runnable await() {
    isWaiting = true;
    try {
      return inbox.await(requests.patienceNanos(System.nanoTime()));
    } catch (InterruptedException e) {
      // Nobody owns the right to stop this thread so; a listener may have left the flag behind.
      return null;
    } finally {
      progressNanos = System.nanoTime();
      isWaiting = false;
    }
  }

  /** Runs the next step; returns whether there was one. */
  private boolean runStep() {
    // Requests in the queue let a probe pass that waits for blocks: it came before them.
    scheduler.plan(plan, !probeWaits || scheduler.numRunning() == 0);
    telemetry.scheduled(scheduler);
    if (plan.size() == 0) {
      return false;
    }
    requests.noteUsedBlocks();
    long begin = System.nanoTime();
    for (int i = 0; i < plan.size(); i++) {
      requests.started(plan.sequence(i).request, begin);
    }
    EngineEvents.Step event = telemetry.beginStep();
    SampledRows sampled;
    try {
      sampled = submit();
    } catch (RuntimeException | Error e) {
      failStep(e);
      return true;
    }
    scheduler.complete(plan);
    noteProgress(begin);
    telemetry.stepped(plan, requests.usedBlocks(), event);
    delivery.take(plan, sampled);
    drafter.propose(plan, batch);
    return true;
  }

  private SampledRows submit() {
    plan.fill(batch, rows);
    boolean verifies = plan.totalDrafts() > 0;
    verifier.begin(plan);
    try {
      return steps.run(batch, rows, verifies ? verifier : sampler).sampled();
    } finally {
      verifier.finish(plan);
    }
  }

  private void noteProgress(long begin) {
    long now = System.nanoTime();
    progressNanos = now;
    if (now - begin > slowestStepNanos) {
      slowestStepNanos = now - begin;
    }
  }

  private void failStep(Throwable e) {
    if (steps.isTakenOver() || aborts) {
      // Whoever closes ends all requests alike.
      return;
    }
    telemetry.stepFailed();
    log.warn("step failed: sequences={} reason={}", plan.size(), e.toString());
    if (StepFailure.isBroken(e)) {
      throw StepFailure.broken(e);
    }
    for (int i = 0; i < plan.size(); i++) {
      requests.fail(plan.sequence(i).request, e);
    }
  }

  /** Runs a step of the probe in front; returns whether there was one that can run. */
  private boolean runProbe() {
    probeWaits = !probes.isEmpty() && !probes.getFirst().pin(scheduler);
    if (probes.isEmpty() || probeWaits) {
      return false;
    }
    Probe probe = probes.removeFirst();
    probing = probe;
    long begin = System.nanoTime();
    try {
      if (probe.run(steps, batch, rows)) {
        probes.add(probe);
      } else {
        probe.end(scheduler, requests::noteUsedBlocks);
      }
      noteProgress(begin);
    } catch (RuntimeException | Error e) {
      probe.fail(RequestTable.asFailure(e));
      if (StepFailure.isBroken(e)) {
        throw e;
      }
    }
    probing = null;
    return true;
  }

  /** Returns what the current step computes. */
  StepPlan plan() {
    return plan;
  }

  /** The last thing that the thread does: whatever passed the inbox gets its end. */
  void endAll() {
    RuntimeException closed = Inbox.modelClosed();
    inbox.shut(closed);
    RuntimeException reason = inbox.shutReason();
    RuntimeException failure = reason instanceof BackendException ? reason : closed;
    for (Runnable command = inbox.poll(); command != null; command = inbox.poll()) {
      try {
        command.run();
      } catch (RuntimeException | Error e) {
        log.warn("command failed while closing: reason={}", e.toString());
      }
    }
    requests.failAll(failure);
    if (probing != null) {
      probing.fail(failure);
    }
    probes.forEach(probe -> probe.fail(failure));
    probes.clear();
    requests.noteUsedBlocks();
    isWaiting = true;
  }
}
