package dev.fathom.jmh;

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.openjdk.jmh.annotations.Param;

/**
 * A row of the table: a benchmark and one value for each of its parameters.
 *
 * @param benchmark class with a method {@code step}
 * @param params value by name of the parameter, in the order of the class
 */
record Row(Class<?> benchmark, Map<String, String> params) {

  private static final String SUFFIX = "Benchmark";

  /**
   * Returns the rows of all combinations of some values.
   *
   * @param benchmark whose parameters are combined
   * @param chosen such as {@code model=V3 tokens=1,8}; other parameters have their first value, or
   *     all if chosen is {@code *}
   */
  static List<Row> of(Class<?> benchmark, String chosen) {
    Map<String, String[]> values = new LinkedHashMap<>();
    for (Field field : benchmark.getFields()) {
      Param param = field.getAnnotation(Param.class);
      if (param != null) {
        boolean all = chosen.equals("*");
        values.put(field.getName(), all ? param.value() : new String[] {param.value()[0]});
      }
    }
    if (!chosen.equals("*")) {
      choose(benchmark, chosen, values);
    }
    List<Row> rows = List.of(new Row(benchmark, Map.of()));
    for (Map.Entry<String, String[]> entry : values.entrySet()) {
      rows = product(rows, entry.getKey(), entry.getValue());
    }
    return rows;
  }

  private static void choose(Class<?> benchmark, String chosen, Map<String, String[]> values) {
    for (String part : chosen.isEmpty() ? new String[0] : chosen.split(" ", -1)) {
      int equals = part.indexOf('=');
      String name = part.substring(0, Math.max(0, equals));
      if (!values.containsKey(name)) {
        throw new IllegalArgumentException(
            "must be a parameter of " + benchmark.getSimpleName() + ": part=" + part);
      }
      values.put(name, part.substring(equals + 1).split(",", -1));
    }
  }

  private static List<Row> product(List<Row> rows, String name, String[] values) {
    List<Row> result = new ArrayList<>();
    for (Row row : rows) {
      for (String value : values) {
        result.add(row.with(name, value));
      }
    }
    return result;
  }

  private Row with(String name, String value) {
    Map<String, String> more = new LinkedHashMap<>(params);
    more.put(name, value);
    return new Row(benchmark, more);
  }

  /** Returns this row with each number of threads, or just this one if it has none to choose. */
  List<Row> withThreads(List<Integer> threads) {
    if (!hasThreads()) {
      return List.of(this);
    }
    return threads.stream().map(n -> with("threads", Integer.toString(n))).toList();
  }

  /** Returns the name of the kernel. */
  String kernel() {
    String name = benchmark.getSimpleName();
    return name.substring(0, name.length() - SUFFIX.length());
  }

  /** Returns whether the kernel runs on a chosen number of threads. */
  boolean hasThreads() {
    return params.containsKey("threads");
  }

  /** Returns the threads, 1 where there is no choice. */
  int threads() {
    return Integer.parseInt(params.getOrDefault("threads", "1"));
  }

  /** Returns kernel and parameters: what a filter sees. */
  String label() {
    return kernel()
        + params.entrySet().stream()
            .map(e -> " " + e.getKey() + "=" + e.getValue())
            .collect(Collectors.joining());
  }
}
