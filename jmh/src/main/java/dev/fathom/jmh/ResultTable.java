package dev.fathom.jmh;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** Results as one table, in Markdown that reads well as text too. */
final class ResultTable {

  static final String LEGEND =
      """
      Times are those of a step, which runs the kernel for several layers; mean and deviation are of \
      the forks. GB/s counts weights and cached keys and values once a step, GFLOP/s the products. \
      Share is of the limit that the kernel is nearer to: m memory, a float32 arithmetic, measured \
      before and after each kind of kernel. (c) counts what is read and written in the cache; that \
      has no limit here.
      """;

  private static final List<String> HEADER =
      List.of(
          "kernel",
          "shape",
          "format",
          "tokens",
          "threads",
          "ms",
          "best fork",
          "worst fork",
          "GB/s",
          "GFLOP/s",
          "share");

  private static final int NUM_TEXT_COLUMNS = 3;
  private static final Set<String> OWN_COLUMN =
      Set.of("model", "format", "kv", "tokens", "threads");

  private final List<List<String>> lines = new ArrayList<>();

  ResultTable() {
    lines.add(HEADER);
  }

  void add(Measured result, Limits limits) {
    Map<String, String> params = result.row().params();
    lines.add(
        List.of(
            result.row().kernel(),
            shape(params),
            format(params),
            params.getOrDefault("tokens", "1"),
            Integer.toString(result.row().threads()),
            number(result.mean()) + deviation(result),
            number(result.best()),
            number(result.worst()),
            bandwidth(result),
            result.gigaflops() == 0 ? "" : number(result.gigaflops()),
            share(result, limits)));
  }

  /** Returns times and rates of a row, to be read while others are still to come. */
  static String sentence(Measured result) {
    boolean fromMemory = result.gigabytes() > 0;
    double gigabytes = fromMemory ? result.gigabytes() : result.cachedGigabytes();
    return String.format(
        Locale.ROOT,
        "%s%s ms, best fork %s, worst %s; %s GB/s%s%s",
        number(result.mean()),
        deviation(result),
        number(result.best()),
        number(result.worst()),
        number(gigabytes),
        fromMemory ? "" : " in the cache",
        result.gigaflops() == 0 ? "" : ", " + number(result.gigaflops()) + " GFLOP/s");
  }

  private static String shape(Map<String, String> params) {
    String others =
        params.entrySet().stream()
            .filter(e -> !OWN_COLUMN.contains(e.getKey()))
            .map(
                e -> e.getKey().equals("context") ? " context " + e.getValue() : " " + e.getValue())
            .collect(Collectors.joining());
    return params.getOrDefault("model", "") + others;
  }

  private static String format(Map<String, String> params) {
    String kv = params.get("kv");
    return kv == null ? params.getOrDefault("format", "F32") : "KV " + kv;
  }

  private static String deviation(Measured result) {
    return result.forkMillis().length == 1 ? "" : " ± " + number(result.deviation());
  }

  private static String bandwidth(Measured result) {
    return result.gigabytes() > 0
        ? number(result.gigabytes())
        : number(result.cachedGigabytes()) + " (c)";
  }

  private static String share(Measured result, Limits limits) {
    double share = limits.share(result.gigabytes(), result.gigaflops());
    if (Double.isNaN(share)) {
      return "";
    }
    boolean memory = limits.isMemory(result.gigabytes(), result.gigaflops());
    return String.format(Locale.ROOT, "%.2f %s", share, memory ? "m" : "a");
  }

  /** Three digits that mean something. */
  static String number(double value) {
    int digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 4;
    return String.format(Locale.ROOT, "%." + digits + "f", value);
  }

  @Override
  public String toString() {
    int[] widths = new int[HEADER.size()];
    for (List<String> line : lines) {
      Arrays.setAll(widths, i -> Math.max(widths[i], line.get(i).length()));
    }
    StringBuilder text = new StringBuilder();
    for (int l = 0; l < lines.size(); l++) {
      append(lines.get(l), widths, text);
      if (l == 0) {
        appendRule(widths, text);
      }
    }
    return text.toString();
  }

  private static void append(List<String> line, int[] widths, StringBuilder text) {
    for (int i = 0; i < widths.length; i++) {
      String padding = " ".repeat(widths[i] - line.get(i).length());
      boolean left = i < NUM_TEXT_COLUMNS;
      text.append("| ").append(left ? line.get(i) + padding : padding + line.get(i)).append(' ');
    }
    text.append("|\n");
  }

  private static void appendRule(int[] widths, StringBuilder text) {
    for (int i = 0; i < widths.length; i++) {
      String end = i < NUM_TEXT_COLUMNS ? "-" : ":";
      text.append('|').append("-".repeat(widths[i] + 1)).append(end);
    }
    text.append("|\n");
  }
}
