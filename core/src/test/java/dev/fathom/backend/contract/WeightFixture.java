package dev.fathom.backend.contract;

import dev.fathom.backend.Backend;
import dev.fathom.backend.PlacedWeight;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.backend.ProgramSet;
import dev.fathom.backend.WeightSource;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.BlockScaleLayout;
import dev.fathom.quant.Int4Layout;
import dev.fathom.quant.Int8Layout;
import dev.fathom.quant.Mxfp4Layout;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;

/**
 * Weights in memory, from a seed, in every format, and what they stand for in float64.
 *
 * <p>Encoders and decoders are written out here and share nothing with the library. Each matrix
 * lies at another alignment, as safetensors promises none.
 */
public final class WeightFixture implements WeightSource {

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Columns that share a scale in the formats of 4 bits and of integers. */
  private static final int GROUP = 32;

  private static final double[] E2M1 = {0, 0.5, 1, 1.5, 2, 3, 4, 6};

  private final Arena arena = Arena.ofAuto();
  private final Random random;
  private final Map<String, WeightMatrix> matrices = new HashMap<>();
  private final Map<String, double[]> values = new HashMap<>();

  /** Creates an empty set of weights. */
  public WeightFixture(long seed) {
    this.random = new Random(seed);
  }

  /** Adds a weight of normal values with a standard deviation, rounded to the format. */
  public WeightRef normal(String name, WeightFormat format, double deviation, int... shape) {
    switch (format) {
      case FP8_E4M3 -> {
        return blockFp8(name, shape[0], shape[1], 128, deviation);
      }
      case INT8, INT4 -> {
        return integers(name, format, shape[0], shape[1], deviation);
      }
      case MXFP4 -> {
        return mxfp4(name, shape[0], shape[1], deviation);
      }
      case F32, F16, BF16 -> {}
    }
    float[] normal = new float[elements(shape)];
    for (int i = 0; i < normal.length; i++) {
      normal[i] = (float) (random.nextGaussian() * deviation);
    }
    return dense(name, format, normal, shape);
  }

  /** Adds a float32 weight of exactly these values. */
  public WeightRef exact(String name, float[] exact, int... shape) {
    return dense(name, WeightFormat.F32, exact, shape);
  }

  /** Adds a weight of these values, rounded to F32, BF16 or F16. */
  public WeightRef dense(String name, WeightFormat format, float[] source, int... shape) {
    if (source.length != elements(shape)) {
      throw new IllegalArgumentException(name + ": " + source.length + " elements");
    }
    int bytes = format.bitsPerWeight() / 8;
    MemorySegment data = segment((long) source.length * bytes);
    double[] decoded = new double[source.length];
    for (int i = 0; i < source.length; i++) {
      switch (format) {
        case F32 -> {
          data.setAtIndex(FLOAT, i, source[i]);
          decoded[i] = source[i];
        }
        case BF16 -> {
          short bits = bf16Bits(source[i]);
          data.setAtIndex(SHORT, i, bits);
          decoded[i] = bf16Value(bits);
        }
        case F16 -> {
          short bits = Float.floatToFloat16(source[i]);
          data.setAtIndex(SHORT, i, bits);
          decoded[i] = Float.float16ToFloat(bits);
        }
        default -> throw new IllegalArgumentException("not dense: " + format);
      }
    }
    int rows = shape.length == 1 ? 1 : shape[0];
    int cols = shape[shape.length - 1];
    return put(name, shape, WeightMatrix.dense(format, rows, cols, data), decoded);
  }

  /** Adds random E4M3 bytes, all finite codes, with a random multiplier for each square block. */
  public WeightRef blockFp8(String name, int rows, int cols, int block, double deviation) {
    BlockScaleLayout layout = BlockScaleLayout.square(rows, cols, block);
    MemorySegment data = segment((long) rows * cols);
    int scaleCols = (cols + block - 1) / block;
    float[] scale = new float[(rows + block - 1) / block * scaleCols];
    MemorySegment scales = segment(4L * scale.length);
    for (int i = 0; i < scale.length; i++) {
      scale[i] = (float) (deviation / 8 * (0.5 + random.nextDouble()));
      scales.setAtIndex(FLOAT, i, scale[i]);
    }
    double[] decoded = new double[rows * cols];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < cols; c++) {
        byte code = e4m3Code();
        data.set(ValueLayout.JAVA_BYTE, (long) r * cols + c, code);
        float multiplier = scale[r / block * scaleCols + c / block];
        decoded[r * cols + c] = (float) (e4m3Value(code) * multiplier);
      }
    }
    return put(name, new int[] {rows, cols}, WeightMatrix.blockFp8(layout, data, scales), decoded);
  }

  /** Replaces a weight of E4M3 by the same one with a NaN in place of an element. */
  void putNan(WeightRef weight, int element) {
    WeightMatrix old = read(weight);
    MemorySegment data = segment(old.data().byteSize()).copyFrom(old.data());
    data.set(ValueLayout.JAVA_BYTE, element, (byte) 0x7F);
    double[] decoded = values(weight).clone();
    decoded[element] = Double.NaN;
    WeightMatrix matrix =
        WeightMatrix.blockFp8(
            Objects.requireNonNull(old.layout()), data, Objects.requireNonNull(old.scales()));
    put(weight.name(), new int[] {old.rows(), old.cols()}, matrix, decoded);
  }

  /** Adds random symmetric integers with a random float32 scale for each 32 columns of a row. */
  private WeightRef integers(
      String name, WeightFormat format, int rows, int cols, double deviation) {
    boolean wide = format == WeightFormat.INT8;
    int groups = (cols + GROUP - 1) / GROUP;
    int rowBytes = wide ? cols : (cols + 1) / 2;
    MemorySegment data = segment((long) rows * rowBytes);
    MemorySegment scales = segment(4L * rows * groups);
    double[] decoded = new double[rows * cols];
    int most = wide ? 127 : 7;
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < cols; c++) {
        int group = r * groups + c / GROUP;
        if (c % GROUP == 0) {
          scales.setAtIndex(
              FLOAT, group, (float) (deviation * 2 / most * (0.5 + random.nextDouble())));
        }
        int q = random.nextInt(2 * most + 1) - most;
        decoded[r * cols + c] = (double) q * scales.getAtIndex(FLOAT, group);
        long at = (long) r * rowBytes + (wide ? c : c / 2);
        int code = wide ? q : ((q + 8) << (4 * (c % 2))) | data.get(ValueLayout.JAVA_BYTE, at);
        data.set(ValueLayout.JAVA_BYTE, at, (byte) code);
      }
    }
    WeightMatrix matrix =
        wide
            ? WeightMatrix.int8(
                new Int8Layout(rows, cols, GROUP, WeightFormat.F32), data, scales, null, null)
            : WeightMatrix.int4(
                new Int4Layout(rows, cols, GROUP, WeightFormat.F32), data, scales, null, null);
    return put(name, new int[] {rows, cols}, matrix, decoded);
  }

  /** Adds random E2M1 codes with one of two powers of two for each 32 columns. */
  private WeightRef mxfp4(String name, int rows, int cols, double deviation) {
    MemorySegment data = segment((long) rows * cols / 2);
    MemorySegment scales = segment((long) rows * cols / GROUP);
    double[] decoded = new double[rows * cols];
    int exponent = Math.getExponent(deviation / 3);
    for (int i = 0; i < decoded.length; i++) {
      if (i % GROUP == 0) {
        int bits = 127 + exponent + random.nextInt(2);
        scales.set(ValueLayout.JAVA_BYTE, i / GROUP, (byte) bits);
      }
      int code = random.nextInt(16);
      int both = data.get(ValueLayout.JAVA_BYTE, i / 2) | (code << (4 * (i % 2)));
      data.set(ValueLayout.JAVA_BYTE, i / 2, (byte) both);
      int power = (scales.get(ValueLayout.JAVA_BYTE, i / GROUP) & 0xFF) - 127;
      decoded[i] = (code < 8 ? 1 : -1) * E2M1[code % 8] * Math.pow(2, power);
    }
    WeightMatrix matrix = WeightMatrix.mxfp4(new Mxfp4Layout(rows, cols), data, scales);
    return put(name, new int[] {rows, cols}, matrix, decoded);
  }

  private byte e4m3Code() {
    int magnitude = random.nextInt(50) == 0 ? random.nextInt(127) : 40 + random.nextInt(50);
    return (byte) (magnitude | (random.nextBoolean() ? 0x80 : 0));
  }

  static double e4m3Value(byte code) {
    int exponent = (code >> 3) & 15;
    int mantissa = code & 7;
    double magnitude =
        exponent == 0 ? mantissa * 0x1p-9 : (1 + mantissa / 8.0) * Math.pow(2, exponent - 7);
    return code < 0 ? -magnitude : magnitude;
  }

  /** Returns the upper half of a float32, rounded to nearest even. */
  static short bf16Bits(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }

  static float bf16Value(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  private static int elements(int... shape) {
    return Arrays.stream(shape).reduce(1, Math::multiplyExact);
  }

  private MemorySegment segment(long bytes) {
    int shift = matrices.size() % 4;
    return arena.allocate(bytes + 8, 8).asSlice(shift, bytes);
  }

  private WeightRef put(String name, int[] shape, WeightMatrix matrix, double[] decoded) {
    List<Integer> dims = Arrays.stream(shape).boxed().toList();
    matrices.put(name, matrix);
    values.put(name, decoded);
    return new WeightRef(name, dims, matrix.format());
  }

  /** Returns what a weight stands for, row-major. */
  public double[] values(WeightRef weight) {
    double[] decoded = values.get(weight.name());
    if (decoded == null) {
      throw new IllegalArgumentException("no weight " + weight);
    }
    return decoded;
  }

  @Override
  public WeightMatrix read(WeightRef weight) {
    WeightMatrix matrix = matrices.get(weight.name());
    if (matrix == null) {
      throw new IllegalArgumentException("no weight " + weight);
    }
    return matrix;
  }

  /** Places every weight of a program. */
  public PlacedWeights place(Backend backend, Program program) {
    return place(backend, List.of(program), this);
  }

  static PlacedWeights place(Backend backend, List<Program> programs, WeightSource source) {
    Map<String, PlacedWeight> placed = new HashMap<>();
    for (WeightRef weight : new ProgramSet(programs).weights()) {
      placed.put(weight.name(), backend.place(weight, source.read(weight)));
    }
    return new PlacedWeights(placed);
  }
}
