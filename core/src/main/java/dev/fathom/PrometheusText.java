package dev.fathom;

import java.util.Locale;

/** Writes metrics in the text format of Prometheus. */
final class PrometheusText {

  private final String prefix;
  private final StringBuilder out = new StringBuilder();

  PrometheusText(String prefix) {
    this.prefix = prefix;
  }

  String render(EngineMetrics m) {
    gauge("num_requests_running", "Sequences that run.", m.runningSequences());
    gauge("num_requests_waiting", "Requests that wait.", m.waitingRequests());
    gauge("num_requests_paused", "Requests whose readers are slow.", m.pausedRequests());
    gauge("kv_cache_usage_perc", "Part of the KV blocks in use, 0 to 1.", m.kvUsage());
    counter("engine_steps", "Steps that ended well.", m.steps());
    counter("engine_steps_failed", "Steps that failed.", m.failedSteps());
    counter("prompt_tokens", "Prompt tokens taken on.", m.promptTokens());
    counter("generation_tokens", "Tokens put out.", m.generationTokens());
    counter("prefix_cache_queries", "Tokens looked for in the cache.", m.prefixQueries());
    counter("prefix_cache_hits", "Tokens found in the cache.", m.prefixHits());
    EngineMetrics.SecondTier tier = m.secondTier();
    counter("kv_tier_kept_blocks", "Blocks that the second tier took.", tier.keptBlocks());
    counter("kv_tier_hits", "Tokens brought back from it.", tier.restoredTokens());
    counter("kv_tier_damaged_blocks", "Damaged files of blocks.", tier.damagedBlocks());
    counter("num_preemptions", "Sequences computed again.", m.preemptions());
    counter("request_rejected", "Requests refused by a full queue.", m.rejectedRequests());
    counter("spec_decode_num_drafts", "Drafts verified.", m.drafts());
    counter("spec_decode_num_draft_tokens", "Tokens drafted.", m.draftTokens());
    counter("spec_decode_num_accepted_tokens", "Drafted tokens accepted.", m.acceptedTokens());
    finished(m);
    experts(m);
    EngineMetrics.Histograms h = m.histograms();
    histogram("time_to_first_token_seconds", "Submission to first token.", h.timeToFirstToken());
    histogram("inter_token_latency_seconds", "Between two tokens.", h.interToken());
    histogram(
        "request_time_per_output_token_seconds",
        "Mean after the first token.",
        h.timePerOutputToken());
    histogram("e2e_request_latency_seconds", "Submission to end.", h.endToEnd());
    histogram("request_queue_time_seconds", "Submission to first step.", h.queue());
    histogram("request_prefill_time_seconds", "First step to first token.", h.prefill());
    histogram("request_decode_time_seconds", "First token to end.", h.decode());
    histogram("request_prompt_tokens", "Tokens of the prompt.", h.promptTokens());
    histogram("request_generation_tokens", "Tokens put out.", h.generationTokens());
    histogram("iteration_tokens_total", "Tokens of a step.", h.stepTokens());
    return out.toString();
  }

  private void finished(EngineMetrics m) {
    head("request_success_total", "Choices by why they ended.", "counter");
    for (FinishReason reason : FinishReason.values()) {
      String label = reason.name().toLowerCase(Locale.ROOT);
      out.append(prefix)
          .append("request_success_total{finished_reason=\"")
          .append(label)
          .append("\"} ")
          .append(m.finished().getOrDefault(reason, 0L))
          .append('\n');
    }
  }

  /** One number for each layer: those of all experts are in {@link EngineMetrics#expertLoad}. */
  private void experts(EngineMetrics m) {
    if (m.expertLoad().isEmpty()) {
      return;
    }
    String name = "expert_balancedness";
    head(name, "Mean over maximum of the tokens of a layer's experts.", "gauge");
    for (EngineMetrics.LayerLoad load : m.expertLoad()) {
      out.append(prefix)
          .append(name)
          .append("{layer=\"")
          .append(load.layer())
          .append("\"} ")
          .append(number(load.balancedness()))
          .append('\n');
    }
  }

  private void gauge(String name, String help, double value) {
    head(name, help, "gauge");
    out.append(prefix).append(name).append(' ').append(number(value)).append('\n');
  }

  private void counter(String name, String help, long value) {
    head(name + "_total", help, "counter");
    out.append(prefix).append(name).append("_total ").append(value).append('\n');
  }

  private void histogram(String name, String help, EngineMetrics.Histogram h) {
    head(name, help, "histogram");
    long cumulative = 0;
    for (int i = 0; i < h.bounds().size(); i++) {
      cumulative += h.counts().get(i);
      bucket(name, number(h.bounds().get(i)), cumulative);
    }
    bucket(name, "+Inf", h.count());
    out.append(prefix).append(name).append("_sum ").append(number(h.sum())).append('\n');
    out.append(prefix).append(name).append("_count ").append(h.count()).append('\n');
  }

  private void bucket(String name, String bound, long count) {
    out.append(prefix)
        .append(name)
        .append("_bucket{le=\"")
        .append(bound)
        .append("\"} ")
        .append(count)
        .append('\n');
  }

  private void head(String name, String help, String type) {
    out.append("# HELP ").append(prefix).append(name).append(' ').append(help).append('\n');
    out.append("# TYPE ").append(prefix).append(name).append(' ').append(type).append('\n');
  }

  private static String number(double value) {
    return Double.toString(value);
  }
}
