package dev.fathom.examples.console;

import java.util.ArrayList;
import java.util.List;

/** Columns of text for a person to read; the first row is the head. */
public final class Table {

  /** Which side of a column its text leans on. */
  public enum Align {
    /** Words. */
    LEFT,
    /** Numbers. */
    RIGHT
  }

  private static final String GAP = "  ";

  private final Align[] columns;
  private final List<String[]> rows = new ArrayList<>();

  /** Starts a table of so many columns. */
  public Table(Align... columns) {
    this.columns = columns.clone();
  }

  /** Adds a row. */
  public void row(String... cells) {
    if (cells.length != columns.length) {
      throw new IllegalArgumentException(
          "must have " + columns.length + " cells: cells=" + cells.length);
    }
    rows.add(cells.clone());
  }

  /** Returns the rows, each ended by a newline, without blanks at the ends of lines. */
  @Override
  public String toString() {
    int[] widths = new int[columns.length];
    for (String[] row : rows) {
      for (int c = 0; c < columns.length; c++) {
        widths[c] = Math.max(widths[c], row[c].length());
      }
    }
    StringBuilder out = new StringBuilder();
    for (String[] row : rows) {
      StringBuilder line = new StringBuilder();
      for (int c = 0; c < columns.length; c++) {
        String blanks = " ".repeat(widths[c] - row[c].length());
        line.append(c == 0 ? "" : GAP);
        line.append(columns[c] == Align.LEFT ? row[c] + blanks : blanks + row[c]);
      }
      out.append(line.toString().stripTrailing()).append('\n');
    }
    return out.toString();
  }
}
