package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.engine.MetricsRecorder.Counter;
import dev.fathom.engine.MetricsRecorder.Gauge;
import dev.fathom.engine.MetricsRecorder.Histogram;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

class MetricsRecorderTest {

  @Test
  void valuesGoIntoTheBucketWhoseBoundTheyDoNotExceed() {
    MetricsRecorder recorder = new MetricsRecorder();
    recorder.begin();
    recorder.observe(Histogram.STEP_TOKENS, 1);
    recorder.observe(Histogram.STEP_TOKENS, 2);
    recorder.observe(Histogram.STEP_TOKENS, 3);
    recorder.observe(Histogram.STEP_TOKENS, 5_000_000);
    recorder.observeNanos(Histogram.TIME_TO_FIRST_TOKEN, 1_000_000);
    recorder.observeNanos(Histogram.TIME_TO_FIRST_TOKEN, 1_000_001);
    recorder.end();
    MetricsRecorder.Snapshot snapshot = recorder.snapshot();
    long[] tokens = snapshot.counts(Histogram.STEP_TOKENS);
    assertThat(Arrays.copyOf(tokens, 4)).containsExactly(1, 1, 1, 0);
    assertThat(tokens[tokens.length - 1]).isEqualTo(1);
    assertThat(snapshot.sum(Histogram.STEP_TOKENS)).isEqualTo(5_000_006);
    assertThat(Arrays.copyOf(snapshot.counts(Histogram.TIME_TO_FIRST_TOKEN), 3))
        .containsExactly(1, 1, 0);
    assertThat(snapshot.sum(Histogram.TIME_TO_FIRST_TOKEN)).isEqualTo(0.002000001);
    for (Histogram other : Histogram.values()) {
      if (other != Histogram.STEP_TOKENS && other != Histogram.TIME_TO_FIRST_TOKEN) {
        assertThat(snapshot.counts(other)).as(other.name()).containsOnly(0);
        assertThat(snapshot.sum(other)).isZero();
      }
    }
  }

  @Test
  void aSnapshotLiesBetweenTwoEvents() throws InterruptedException {
    MetricsRecorder recorder = new MetricsRecorder();
    AtomicBoolean stop = new AtomicBoolean();
    AtomicReference<String> torn = new AtomicReference<>();
    Thread reader =
        new Thread(() -> {
          while (!stop.get()) {
            MetricsRecorder.Snapshot s = recorder.snapshot();
            long steps = s.get(Counter.STEPS);
            long inBuckets = Arrays.stream(s.counts(Histogram.STEP_TOKENS)).sum();
            boolean fits =
                inBuckets == steps
                    && s.sum(Histogram.STEP_TOKENS) == 3.0 * steps
                    && s.get(Counter.GENERATION_TOKENS) == 3 * steps
                    && s.get(Gauge.RUNNING) == steps
                    && s.ends(EndReason.EOS) == steps;
            if (!fits) {
              torn.set(steps + " " + inBuckets + " " + s.get(Counter.GENERATION_TOKENS));
            }
          }
        });
    reader.start();
    for (int i = 1; i <= 200_000; i++) {
      recorder.begin();
      recorder.countEnd(EndReason.EOS);
      recorder.add(Counter.STEPS, 1);
      recorder.observe(Histogram.STEP_TOKENS, 3);
      recorder.add(Counter.GENERATION_TOKENS, 3);
      recorder.set(Gauge.RUNNING, i);
      recorder.end();
    }
    stop.set(true);
    reader.join();
    assertThat(torn.get()).isNull();
    assertThat(recorder.snapshot().get(Counter.STEPS)).isEqualTo(200_000);
  }
}
