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
 * same elements. Holds one FP8 matrix at most; not safe for several threads.
 */
final class RandomTensors implements TensorData {

  /** Ends the name of the scales of an FP8 matrix. */
  static final String SCALE_SUFFIX = "_scale_inv";

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
    if (tensor.name().endsWith(SCALE_SUFFIX)) {
      sink.write(scales);
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
