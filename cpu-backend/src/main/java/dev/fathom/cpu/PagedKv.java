package dev.fathom.cpu;

import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.KvRows;
import dev.fathom.backend.LargePageArena;
import dev.fathom.backend.StepBatch;
import dev.fathom.cpu.kernel.Bf16Decode;
import dev.fathom.cpu.kernel.F32Rows;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvGroup;
import dev.fathom.kvcache.KvGroups;
import dev.fathom.kvcache.KvLayout;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.quant.Bf16;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The paged KV cache: for each layer one segment of [blocks, tokens of a block, elements], little
 * endian.
 *
 * <p>Owns its arena; {@link #close} frees it.
 */
final class PagedKv implements AutoCloseable {

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * The cache of one layer.
   *
   * @param group whose block tables name its blocks
   * @param layout where a token lies in a block
   * @param bytes what reads its rows where it has an 8-bit format
   * @param blocks all blocks
   */
  record Layer(int group, KvLayout layout, ByteRows bytes, MemorySegment blocks) {}

  private final Arena arena = LargePageArena.open();
  private final List<KvGroup> groups;
  private final Map<KvSpec, Layer> layers = new HashMap<>();

  PagedKv(List<KvSpec> specs, CompileOptions options) {
    this.groups = KvGroups.of(specs);
    for (KvGroup group : groups) {
      int slots = group.blockSlots(options.blockTokens());
      for (KvSpec spec : group.specs()) {
        KvLayout layout = new KvLayout(spec, options.kvFormat(), slots);
        long bytes = Math.multiplyExact(layout.blockBytes(), (long) options.numBlocks(group.id()));
        MemorySegment blocks = arena.allocate(bytes, 64);
        if (LargePageArena.hasLargePages()) {
          // Taken now: where the machine has no memory for it, loading fails and not a step.
          blocks.fill((byte) 0);
        }
        layers.put(spec, new Layer(group.id(), layout, new ByteRows(layout), blocks));
      }
    }
  }

  int numGroups() {
    return groups.size();
  }

  List<KvGroup> groups() {
    return groups;
  }

  long blockBytes(int group) {
    long bytes = 0;
    for (KvSpec spec : groups.get(group).specs()) {
      bytes += layer(spec).layout().blockBytes();
    }
    return bytes;
  }

  Layer layer(KvSpec spec) {
    Layer layer = layers.get(spec);
    if (layer == null) {
      throw new IllegalArgumentException("cache: expected a spec of the program, got " + spec);
    }
    return layer;
  }

  /** Returns the first byte of a position of a sequence in the memory of a layer. */
  long rowByte(Layer layer, StepBatch batch, int sequence, int position) {
    int slots = layer.layout().blockTokens();
    int block = batch.block(sequence, layer.group(), position / slots);
    return layer.layout().slotOffset(block * slots + position % slots);
  }

  /** Writes elements [first, first + len) of a token of a sequence. */
  void write(StepBatch batch, int t, Layer layer, int first, float[] source, int off, int len) {
    int sequence = batch.sequenceOf(t);
    writeSlot(batch, sequence, batch.position(t), layer, first, source, off, len);
  }

  /** Writes elements [first, first + len) of a slot of a sequence. */
  void writeSlot(
      StepBatch batch,
      int sequence,
      int slot,
      Layer layer,
      int first,
      float[] source,
      int off,
      int len) {
    KvFormat format = layer.layout().format();
    long at = rowByte(layer, batch, sequence, slot) + (long) first * format.bytesPerElement();
    switch (format) {
      case F32 -> MemorySegment.copy(source, off, layer.blocks(), FLOAT, at, len);
      case BF16 -> {
        for (int i = 0; i < len; i++) {
          layer.blocks().set(SHORT, at + 2L * i, Bf16.encode(source[off + i]));
        }
      }
      case FP8_E4M3, FP8_E5M2 -> {
        long row = rowByte(layer, batch, sequence, slot);
        KvRows.write(layer.layout(), layer.blocks(), row, first, source, off, len);
      }
    }
  }

  /** Reads elements [first, first + len) of a position of a sequence to target[off..]. */
  void read(
      StepBatch batch,
      int sequence,
      Layer layer,
      int position,
      int first,
      int len,
      float[] target,
      int off) {
    readPart(layer, rowByte(layer, batch, sequence, position), first, len, target, off);
  }

  /**
   * Reads all elements of m positions of a sequence from {@code first} on to target[0..], those of
   * a block at once.
   */
  void readRows(StepBatch batch, int sequence, Layer layer, int first, int m, float[] target) {
    int width = layer.layout().spec().elementsPerToken();
    boolean isByte = layer.layout().format().isByte();
    int slots = layer.layout().blockTokens();
    for (int i = 0; i < m; ) {
      int rows = Math.min(m - i, slots - (first + i) % slots);
      long at = rowByte(layer, batch, sequence, first + i);
      if (isByte) {
        layer.bytes().readAll(layer.blocks(), at, rows, target, i * width);
      } else {
        readFloats(layer, at, rows * width, target, i * width);
      }
      i += rows;
    }
  }

  /**
   * Reads elements [element, element + len) of m positions of a sequence from {@code first} on to
   * target[0..], len for each.
   */
  void readParts(
      StepBatch batch,
      int sequence,
      Layer layer,
      int first,
      int m,
      int element,
      int len,
      float[] target) {
    KvLayout layout = layer.layout();
    int slots = layout.blockTokens();
    long row = layout.bytesPerToken();
    for (int i = 0; i < m; ) {
      int rows = Math.min(m - i, slots - (first + i) % slots);
      long at = rowByte(layer, batch, sequence, first + i);
      if (layout.format() == KvFormat.F32) {
        F32Rows.read(layer.blocks(), at + 4L * element, row, rows, len, target, i * len);
      } else {
        for (int k = 0; k < rows; k++) {
          readPart(layer, at + k * row, element, len, target, (i + k) * len);
        }
      }
      i += rows;
    }
  }

  private static void readPart(Layer layer, long row, int first, int len, float[] target, int off) {
    KvFormat format = layer.layout().format();
    if (format.isByte()) {
      layer.bytes().read(layer.blocks(), row, first, len, target, off);
    } else {
      readFloats(layer, row + (long) first * format.bytesPerElement(), len, target, off);
    }
  }

  /** Reads elements of F32 or BF16 that lie side by side. */
  private static void readFloats(Layer layer, long at, int len, float[] target, int off) {
    if (layer.layout().format() == KvFormat.F32) {
      MemorySegment.copy(layer.blocks(), FLOAT, at, target, off, len);
    } else {
      Bf16Decode.run(layer.blocks(), at, target, off, len);
    }
  }

  /** Runs the block copies of a step in their order. */
  void copyBlocks(StepBatch batch) {
    for (int c = 0; c < batch.numCopies(); c++) {
      for (KvSpec spec : groups.get(batch.copyGroup(c)).specs()) {
        Layer layer = layer(spec);
        long bytes = layer.layout().blockBytes();
        long from = bytes * batch.copySource(c);
        long to = bytes * batch.copyDestination(c);
        MemorySegment.copy(layer.blocks(), from, layer.blocks(), to, bytes);
      }
    }
  }

  void export(int group, int block, MemorySegment target) {
    long at = 0;
    for (KvSpec spec : groups.get(group).specs()) {
      Layer layer = layer(spec);
      long bytes = layer.layout().blockBytes();
      MemorySegment.copy(layer.blocks(), bytes * block, target, at, bytes);
      at += bytes;
    }
  }

  void restore(int group, int block, MemorySegment source) {
    long at = 0;
    for (KvSpec spec : groups.get(group).specs()) {
      Layer layer = layer(spec);
      long bytes = layer.layout().blockBytes();
      MemorySegment.copy(source, at, layer.blocks(), bytes * block, bytes);
      at += bytes;
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
