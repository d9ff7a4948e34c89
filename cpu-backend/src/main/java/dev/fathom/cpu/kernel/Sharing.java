package dev.fathom.cpu.kernel;

/** Shares out independent items among threads. */
@FunctionalInterface
public interface Sharing {

  /** Runs all items on the calling thread. */
  Sharing ALONE = (items, work) -> work.run(0, items);

  /** Work on items that write different memory. */
  @FunctionalInterface
  interface Range {

    /** Does items [from, to), on any thread. */
    void run(int from, int to);
  }

  /** Has every item of [0, items) done once, and returns when all are. */
  void run(int items, Range work);
}
