package dev.fathom.examples.synth;

import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorData;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.quant.Bf16;
import dev.fathom.quant.BlockFp8Quantizer;
import dev.fathom.quant.BlockScaleLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Makes the elements of tensors, a chunk at a time: normally distributed with deviation {@value
 * #DEVIATION}, norms all one, the router's bias smaller. The same seed and name always give the
 * same elements. Holds one FP8 matrix, or the scales of one of integers, at most; not safe for
 * several threads.
 */
final class RandomTensors implements TensorData {

  /** Ends the name of the scales of an FP8 matrix. */
  static final String SCALE_SUFFIX = "_scale_inv";

  /** Ends the name of the scales of an integer matrix. */
  static final String INTEGER_SCALE_SUFFIX = "_scale";

  /** Ends the name of packed 4-bit codes. */
  static final String PACKED_SUFFIX = "_packed";

  /** Columns that share the scale of 4-bit codes. */
  static final int GROUP = 32;

  /** 4-bit codes of an I32 word. */
  static final int CODES_OF_A_WORD = 8;

  /** Rows and columns of an FP8 block. */
  static final int BLOCK = 128;

  static final double DEVIATION = 0.02;
  private static final double ROUTER_BIAS_DEVIATION = 0.01;
  private static final int CHUNK = 1 << 16;
  private static final long MIX = 0x9E3779B97F4A7C15L;
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final long seed;
  private final float[] values = new float[CHUNK];
  private final MemorySegment chunk = MemorySegment.ofArray(new byte[CHUNK * Float.BYTES]);
  private MemorySegment scales = MemorySegment.ofArray(new byte[0]);

  RandomTensors(long seed) {
    this.seed = seed;
  }

  @Override
  public void write(TensorSpec tensor, Sink sink) {
    if (tensor.name().endsWith(SCALE_SUFFIX) || tensor.name().endsWith(INTEGER_SCALE_SUFFIX)) {
      sink.write(scales);
    } else if (tensor.dtype() == SafetensorsDtype.I8) {
      bytes(tensor, sink);
    } else if (tensor.name().endsWith(PACKED_SUFFIX)) {
      nibbles(tensor, sink);
    } else if (tensor.dtype() == SafetensorsDtype.F8_E4M3) {
      quantized(tensor, sink);
    } else {
      dense(tensor, sink);
    }
  }

  private void dense(TensorSpec tensor, Sink sink) {
    SplittableRandom random = random(tensor.name());
    boolean narrow = tensor.dtype() == SafetensorsDtype.BF16;
    for (long done = 0; done < tensor.numElements(); done += CHUNK) {
      int len = (int) Math.min(CHUNK, tensor.numElements() - done);
      fill(tensor.name(), random, values, 0, len);
      for (int i = 0; i < len; i++) {
        if (narrow) {
          chunk.setAtIndex(SHORT, i, Bf16.encode(values[i]));
        } else {
          chunk.setAtIndex(FLOAT, i, values[i]);
        }
      }
      sink.write(chunk.asSlice(0, (long) len * (narrow ? Short.BYTES : Float.BYTES)));
    }
  }

  private void quantized(TensorSpec tensor, Sink sink) {
    SplittableRandom random = random(tensor.name());
    long[] shape = tensor.shape();
    BlockScaleLayout layout =
        BlockScaleLayout.square(Math.toIntExact(shape[0]), Math.toIntExact(shape[1]), BLOCK);
    MemorySegment data = MemorySegment.ofArray(new byte[Math.toIntExact(layout.weightBytes())]);
    scales = MemorySegment.ofArray(new byte[Math.toIntExact(layout.scaleBytes())]);
    BlockFp8Quantizer.quantize(
        (r, out, off) -> fill(tensor.name(), random, out, off, layout.cols()),
        layout,
        data,
        scales);
    sink.write(data);
  }

  /** Codes of normal values; 4.5 deviations are the largest code. */
  private void bytes(TensorSpec tensor, Sink sink) {
    SplittableRandom random = random(tensor.name());
    int rows = Math.toIntExact(tensor.shape()[0]);
    int cols = Math.toIntExact(tensor.shape()[1]);
    scales = MemorySegment.ofArray(new byte[Math.multiplyExact(rows, Float.BYTES)]);
    byte[] row = new byte[cols];
    for (int r = 0; r < rows; r++) {
      scales.setAtIndex(FLOAT, r, (float) (DEVIATION / 127 * (4 + random.nextDouble())));
      for (int c = 0; c < cols; c++) {
        long code = Math.round(random.nextGaussian() * 127 / 4.5);
        row[c] = (byte) Math.clamp(code, -127, 127);
      }
      sink.write(MemorySegment.ofArray(row));
    }
  }

  /** Codes around the zero point 8, lowest column in the lowest bits. */
  private void nibbles(TensorSpec tensor, Sink sink) {
    SplittableRandom random = random(tensor.name());
    int rows = Math.toIntExact(tensor.shape()[0]);
    int words = Math.toIntExact(tensor.shape()[1]);
    int groups = Math.ceilDiv(words * CODES_OF_A_WORD, GROUP);
    scales = MemorySegment.ofArray(new byte[Math.multiplyExact(rows * groups, Short.BYTES)]);
    byte[] row = new byte[words * Integer.BYTES];
    for (int r = 0; r < rows; r++) {
      for (int g = 0; g < groups; g++) {
        float scale = (float) (DEVIATION / 7 * (2 + random.nextDouble()));
        scales.setAtIndex(SHORT, (long) r * groups + g, Float.floatToFloat16(scale));
      }
      for (int i = 0; i < row.length; i++) {
        row[i] = (byte) (nibble(random) | nibble(random) << 4);
      }
      sink.write(MemorySegment.ofArray(row));
    }
  }

  private static int nibble(SplittableRandom random) {
    return (int) Math.clamp(Math.round(random.nextGaussian() * 2.8) + 8, 0L, 15L);
  }

  private SplittableRandom random(String name) {
    long hash = seed;
    for (int i = 0; i < name.length(); i++) {
      hash = (hash ^ name.charAt(i)) * MIX;
    }
    return new SplittableRandom(hash);
  }

  private static void fill(String name, SplittableRandom random, float[] out, int off, int len) {
    if (name.endsWith("norm.weight")) {
      Arrays.fill(out, off, off + len, 1f);
      return;
    }
    double deviation = name.endsWith(SynthWeights.ROUTER_BIAS) ? ROUTER_BIAS_DEVIATION : DEVIATION;
    for (int i = 0; i < len; i++) {
      out[off + i] = (float) (random.nextGaussian() * deviation);
    }
  }
}
