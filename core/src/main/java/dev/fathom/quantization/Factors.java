package dev.fathom.quantization;

import dev.fathom.quant.RowReader;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * What the columns and rows of weights are multiplied by, by the weight's name; a vector has
 * columns only. Safe for several threads.
 */
final class Factors {

  private final Map<String, float[]> columns = new ConcurrentHashMap<>();
  private final Map<String, float[]> rows = new ConcurrentHashMap<>();

  void putColumns(String weight, float[] factors) {
    put(columns, weight, factors);
  }

  void putRows(String weight, float[] factors) {
    put(rows, weight, factors);
  }

  private static void put(Map<String, float[]> map, String weight, float[] factors) {
    if (map.putIfAbsent(weight, factors) != null) {
      throw new IllegalStateException("must be scaled once: weight=" + weight);
    }
  }

  float @Nullable [] columns(String weight) {
    return columns.get(weight);
  }

  /** Whether a weight changes. */
  boolean change(String weight) {
    return columns.containsKey(weight) || rows.containsKey(weight);
  }

  /** Whether all factors of a weight are powers of two, which float types multiply exactly. */
  boolean areExact(String weight) {
    return powersOfTwo(columns.get(weight)) && powersOfTwo(rows.get(weight));
  }

  private static boolean powersOfTwo(float @Nullable [] factors) {
    if (factors != null) {
      for (float factor : factors) {
        if ((Float.floatToRawIntBits(factor) & 0x7f_ffff) != 0) {
          return false;
        }
      }
    }
    return true;
  }

  /** The rows of a weight with its factors multiplied in. */
  RowReader apply(String weight, int cols, RowReader reader) {
    float[] byColumn = columns.get(weight);
    float[] byRow = rows.get(weight);
    if (byColumn == null && byRow == null) {
      return reader;
    }
    return (r, out, off) -> {
      reader.read(r, out, off);
      float row = byRow == null ? 1 : byRow[r];
      for (int c = 0; c < cols; c++) {
        out[off + c] *= byColumn == null ? row : row * byColumn[c];
      }
    };
  }
}
