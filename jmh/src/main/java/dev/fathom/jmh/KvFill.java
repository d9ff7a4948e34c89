package dev.fathom.jmh;

import dev.fathom.backend.Executable;
import dev.fathom.backend.KvRows;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvLayout;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.quant.Bf16;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;

/** Writes random rows into the caches of an executable, as if a prompt had been computed. */
final class KvFill {

  private KvFill() {}

  /**
   * Fills all blocks of group 0.
   *
   * @param specs the caches of the group, in order
   * @param sequences whose blocks are filled
   */
  static void fill(
      Executable executable, List<? extends KvSpec> specs, KvFormat format, Sequences sequences) {
    Random random = new Random(2);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment block = arena.allocate(executable.blockBytes(0), 64);
      int blockTokens = sequences.options(format).blockTokens();
      long at = 0;
      for (KvSpec spec : specs) {
        KvLayout layout = new KvLayout(spec, format, blockTokens);
        fill(layout, block.asSlice(at, layout.blockBytes()), random);
        at += layout.blockBytes();
      }
      for (int b = 0; b < sequences.numBlocks(); b++) {
        executable.importBlock(0, b, block);
      }
    }
  }

  private static void fill(KvLayout layout, MemorySegment block, Random random) {
    float[] row = new float[layout.spec().elementsPerToken()];
    for (int t = 0; t < layout.blockTokens(); t++) {
      for (int i = 0; i < row.length; i++) {
        row[i] = random.nextFloat() - 0.5f;
      }
      write(layout, block, layout.offset(t), row);
    }
  }

  private static void write(KvLayout layout, MemorySegment block, long at, float[] row) {
    if (layout.format().isByte()) {
      KvRows.write(layout, block, at, 0, row, 0, row.length);
      return;
    }
    for (int i = 0; i < row.length; i++) {
      if (layout.format() == KvFormat.F32) {
        block.set(ValueLayout.JAVA_FLOAT, at + 4L * i, row[i]);
      } else {
        block.set(ValueLayout.JAVA_SHORT, at + 2L * i, Bf16.encode(row[i]));
      }
    }
  }
}
