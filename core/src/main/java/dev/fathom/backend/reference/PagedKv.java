package dev.fathom.backend.reference;

import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.KvRows;
import dev.fathom.backend.StepBatch;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvGroup;
import dev.fathom.kvcache.KvGroups;
import dev.fathom.kvcache.KvLayout;
import dev.fathom.kvcache.KvSpec;
import dev.fathom.quant.Bf16;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The paged KV cache: for each layer one segment of [blocks, tokens of a block, elements].
 *
 * <p>Owns its arena; {@link #close} frees it.
 */
final class PagedKv implements AutoCloseable {

  private record Layer(int group, KvLayout layout, MemorySegment blocks) {}

  private final Arena arena = Arena.ofShared();
  private final List<KvGroup> groups;
  private final Map<KvSpec, Layer> layers = new HashMap<>();

  PagedKv(List<KvSpec> specs, CompileOptions options) {
    this.groups = KvGroups.of(specs);
    for (KvGroup group : groups) {
      int slots = group.blockSlots(options.blockTokens());
      for (KvSpec spec : group.specs()) {
        KvLayout layout = new KvLayout(spec, options.kvFormat(), slots);
        long bytes = Math.multiplyExact(layout.blockBytes(), (long) options.numBlocks(group.id()));
        layers.put(spec, new Layer(group.id(), layout, arena.allocate(bytes, 64)));
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

  private Layer layer(KvSpec spec) {
    Layer layer = layers.get(spec);
    if (layer == null) {
      throw new IllegalArgumentException("cache: expected a spec of the program, got " + spec);
    }
    return layer;
  }

  /** Writes elements [first, first + len) of a token of a sequence. */
  void write(StepBatch batch, int t, KvSpec spec, int first, float[] source, int off, int len) {
    writeSlot(batch, batch.sequenceOf(t), batch.position(t), spec, first, source, off, len);
  }

  /** Writes elements [first, first + len) of a slot of a sequence. */
  void writeSlot(
      StepBatch batch,
      int sequence,
      int slot,
      KvSpec spec,
      int first,
      float[] source,
      int off,
      int len) {
    Layer layer = layer(spec);
    KvFormat format = layer.layout().format();
    if (format.isByte()) {
      long row = offset(layer, batch, sequence, slot);
      KvRows.write(layer.layout(), layer.blocks(), row, first, source, off, len);
      return;
    }
    long at = offset(layer, batch, sequence, slot) + (long) first * format.bytesPerElement();
    for (int i = 0; i < len; i++) {
      put(format, layer.blocks(), at, source[off + i]);
      at += format.bytesPerElement();
    }
  }

  /** Reads the slots [0, len) of a sequence into target as float32 [len, elements]. */
  void gather(StepBatch batch, int sequence, KvSpec spec, int len, float[] target) {
    gather(batch, sequence, spec, 0, len, target);
  }

  /** Reads the slots [from, from + len) of a sequence into target as float32 [len, elements]. */
  void gather(StepBatch batch, int sequence, KvSpec spec, int from, int len, float[] target) {
    Layer layer = layer(spec);
    KvFormat format = layer.layout().format();
    int elements = spec.elementsPerToken();
    int out = 0;
    for (int slot = from; slot < from + len; slot++) {
      long at = offset(layer, batch, sequence, slot);
      if (format.isByte()) {
        KvRows.read(layer.layout(), layer.blocks(), at, 0, elements, target, out);
        out += elements;
        continue;
      }
      for (int i = 0; i < elements; i++) {
        target[out++] = get(format, layer.blocks(), at);
        at += format.bytesPerElement();
      }
    }
  }

  private long offset(Layer layer, StepBatch batch, int sequence, int slot) {
    int slots = layer.layout().blockTokens();
    int block = batch.block(sequence, layer.group(), slot / slots);
    return layer.layout().blockBytes() * block + layer.layout().offset(slot % slots);
  }

  private static void put(KvFormat format, MemorySegment blocks, long at, float value) {
    switch (format) {
      case F32 -> blocks.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at, value);
      case BF16 -> blocks.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, Bf16.encode(value));
      case FP8_E4M3, FP8_E5M2 -> throw new IllegalStateException("KvRows writes " + format);
    }
  }

  private static float get(KvFormat format, MemorySegment blocks, long at) {
    return switch (format) {
      case F32 -> blocks.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at);
      case BF16 -> Bf16.decode(blocks.get(ValueLayout.JAVA_SHORT_UNALIGNED, at));
      case FP8_E4M3, FP8_E5M2 -> throw new IllegalStateException("KvRows reads " + format);
    };
  }

  /** Runs the block copies of a step in their order. */
  void copyBlocks(StepBatch batch) {
    for (int c = 0; c < batch.numCopies(); c++) {
      for (KvSpec spec : groups.get(batch.copyGroup(c)).specs()) {
        Layer layer = layer(spec);
        long bytes = layer.layout().blockBytes();
        MemorySegment.copy(
            layer.blocks(),
            bytes * batch.copySource(c),
            layer.blocks(),
            bytes * batch.copyDestination(c),
            bytes);
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
