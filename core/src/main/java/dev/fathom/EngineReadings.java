package dev.fathom;

import dev.fathom.backend.ExpertLoads;
import dev.fathom.engine.EndReason;
import dev.fathom.engine.Engine;
import dev.fathom.engine.MetricsRecorder;
import dev.fathom.engine.MetricsRecorder.Counter;
import dev.fathom.engine.MetricsRecorder.Gauge;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;

/** Puts an engine's numbers into the terms of the API. */
final class EngineReadings {

  private EngineReadings() {}

  static EngineMetrics of(Engine engine) {
    MetricsRecorder.Snapshot s = engine.metrics();
    return new EngineMetrics(
        s.get(Gauge.RUNNING),
        engine.numWaiting(),
        s.get(Gauge.PAUSED),
        (double) s.get(Gauge.USED_BLOCKS) / engine.numBlocks(),
        s.get(Counter.STEPS),
        s.get(Counter.FAILED_STEPS),
        s.get(Counter.PROMPT_TOKENS),
        s.get(Counter.GENERATION_TOKENS),
        s.get(Counter.PREFIX_QUERIES),
        s.get(Counter.PREFIX_HITS),
        s.get(Counter.PREEMPTIONS),
        engine.numRejected(),
        s.get(Counter.DRAFTS),
        s.get(Counter.DRAFT_TOKENS),
        s.get(Counter.ACCEPTED_TOKENS),
        finished(s),
        histograms(s),
        new EngineMetrics.SecondTier(
            s.get(Counter.KEPT_BLOCKS),
            s.get(Counter.RESTORED_TOKENS),
            s.get(Counter.DAMAGED_BLOCKS)),
        engine.expertLoads().layers().stream().map(EngineReadings::load).toList());
  }

  private static EngineMetrics.LayerLoad load(ExpertLoads.Layer layer) {
    return new EngineMetrics.LayerLoad(
        layer.number(), Arrays.stream(layer.tokens()).boxed().toList());
  }

  private static Map<FinishReason, Long> finished(MetricsRecorder.Snapshot s) {
    Map<FinishReason, Long> finished = new EnumMap<>(FinishReason.class);
    for (EndReason reason : EndReason.values()) {
      finished.merge(LiveGeneration.finishReason(reason), s.ends(reason), Long::sum);
    }
    return finished;
  }

  private static EngineMetrics.Histograms histograms(MetricsRecorder.Snapshot s) {
    return new EngineMetrics.Histograms(
        histogram(s, MetricsRecorder.Histogram.TIME_TO_FIRST_TOKEN),
        histogram(s, MetricsRecorder.Histogram.INTER_TOKEN),
        histogram(s, MetricsRecorder.Histogram.TIME_PER_OUTPUT_TOKEN),
        histogram(s, MetricsRecorder.Histogram.END_TO_END),
        histogram(s, MetricsRecorder.Histogram.QUEUE),
        histogram(s, MetricsRecorder.Histogram.PREFILL),
        histogram(s, MetricsRecorder.Histogram.DECODE),
        histogram(s, MetricsRecorder.Histogram.PROMPT_TOKENS),
        histogram(s, MetricsRecorder.Histogram.GENERATION_TOKENS),
        histogram(s, MetricsRecorder.Histogram.STEP_TOKENS));
  }

  private static EngineMetrics.Histogram histogram(
      MetricsRecorder.Snapshot s, MetricsRecorder.Histogram histogram) {
    return EngineMetrics.Histogram.of(histogram.bounds(), s.counts(histogram), s.sum(histogram));
  }
}
