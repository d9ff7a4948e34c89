package dev.fathom.golden;

import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.checkpoint.TensorSpec;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A linear that a test quantizes itself, written from the description of the formats and not with
 * the code that reads them: its tensors, and the floats that they mean.
 */
final class PackedLinear {

  private static final int[] AWQ_ORDER = {0, 2, 4, 6, 1, 3, 5, 7};
  private static final float[] E2M1 = {0f, 0.5f, 1f, 1.5f, 2f, 3f, 4f, 6f};

  private final Map<TensorSpec, byte[]> tensors = new LinkedHashMap<>();
  private final String stem;
  private final float[] weight;
  private final int out;
  private final int in;
  private final float[] decoded;

  /**
   * A linear that is not quantized yet.
   *
   * @param stem "model.layers.0.mlp.up_proj."
   * @param weight [out, in]
   */
  PackedLinear(String stem, float[] weight, int out, int in) {
    this.stem = stem;
    this.weight = weight;
    this.out = out;
    this.in = in;
    this.decoded = new float[out * in];
  }

  int in() {
    return in;
  }

  Map<TensorSpec, byte[]> tensors() {
    return tensors;
  }

  float[] decoded() {
    return decoded;
  }

  private ByteBuffer tensor(String leaf, SafetensorsDtype dtype, long... shape) {
    TensorSpec spec = TensorSpec.of(stem + leaf, dtype, shape);
    ByteBuffer bytes =
        ByteBuffer.allocate(Math.toIntExact(spec.byteLength())).order(ByteOrder.LITTLE_ENDIAN);
    tensors.put(spec, bytes.array());
    return bytes;
  }

  private static void or(ByteBuffer words, int index, int bits) {
    words.putInt(4 * index, words.getInt(4 * index) | bits);
  }

  /** Integers of a matrix, with the scale and zero point of each group of columns. */
  private final class Grid {
    final int groups;
    final int[][] code = new int[out][in];
    final int[][] zero;
    final short[][] scale;
    final int[] groupOf = new int[in];

    Grid(int bits, int groupSize, boolean symmetric, boolean permuted) {
      groups = (in + groupSize - 1) / groupSize;
      zero = new int[out][groups];
      scale = new short[out][groups];
      for (int c = 0; c < in; c++) {
        groupOf[c] = (permuted ? c * 7 % in : c) / groupSize;
      }
      for (int r = 0; r < out; r++) {
        for (int g = 0; g < groups; g++) {
          fit(r, g, bits, symmetric);
        }
        for (int c = 0; c < in; c++) {
          int g = groupOf[c];
          float s = Float.float16ToFloat(scale[r][g]);
          int q = Math.round(weight[r * in + c] / s) + zero[r][g];
          code[r][c] = Math.max(0, Math.min((1 << bits) - 1, q));
          decoded[r * in + c] = (code[r][c] - zero[r][g]) * s;
        }
      }
    }

    private void fit(int r, int g, int bits, boolean symmetric) {
      float low = 0;
      float high = 0;
      for (int c = 0; c < in; c++) {
        if (groupOf[c] == g) {
          low = Math.min(low, weight[r * in + c]);
          high = Math.max(high, weight[r * in + c]);
        }
      }
      float range = symmetric ? 2 * Math.max(-low, high) : high - low;
      scale[r][g] = Float.floatToFloat16(Math.max(range / ((1 << bits) - 1), 1e-4f));
      float s = Float.float16ToFloat(scale[r][g]);
      zero[r][g] = symmetric ? 1 << (bits - 1) : Math.round(-low / s);
    }

    void scales(String leaf, boolean transposed) {
      long rows = transposed ? groups : out;
      ByteBuffer bytes = tensor(leaf, SafetensorsDtype.F16, rows, transposed ? out : groups);
      for (int r = 0; r < out; r++) {
        for (int g = 0; g < groups; g++) {
          bytes.putShort(2 * (transposed ? g * out + r : r * groups + g), scale[r][g]);
        }
      }
    }
  }

  /** AWQ, version gemm. */
  void awq(int groupSize) {
    Grid grid = new Grid(4, groupSize, false, false);
    ByteBuffer words = tensor("qweight", SafetensorsDtype.I32, in, out / 8);
    ByteBuffer zeros = tensor("qzeros", SafetensorsDtype.I32, grid.groups, out / 8);
    grid.scales("scales", true);
    for (int b = 0; b < out / 8; b++) {
      for (int i = 0; i < 8; i++) {
        int r = 8 * b + AWQ_ORDER[i];
        for (int c = 0; c < in; c++) {
          or(words, c * (out / 8) + b, grid.code[r][c] << (4 * i));
        }
        for (int g = 0; g < grid.groups; g++) {
          or(zeros, g * (out / 8) + b, grid.zero[r][g] << (4 * i));
        }
      }
    }
  }

  /**
   * GPTQ.
   *
   * @param stored what is added to a zero point before it is stored: -1 in version 1
   */
  void gptq(int bits, int groupSize, int stored, boolean permuted) {
    Grid grid = new Grid(bits, groupSize, false, permuted);
    int per = 32 / bits;
    ByteBuffer words = tensor("qweight", SafetensorsDtype.I32, in / per, out);
    ByteBuffer zeros = tensor("qzeros", SafetensorsDtype.I32, grid.groups, out / per);
    grid.scales("scales", true);
    ByteBuffer index = tensor("g_idx", SafetensorsDtype.I32, in);
    for (int c = 0; c < in; c++) {
      index.putInt(4 * c, grid.groupOf[c]);
      for (int r = 0; r < out; r++) {
        or(words, c / per * out + r, grid.code[r][c] << (bits * (c % per)));
      }
    }
    for (int g = 0; g < grid.groups; g++) {
      for (int r = 0; r < out; r++) {
        int zero = (grid.zero[r][g] + stored) & ((1 << bits) - 1);
        or(zeros, g * (out / per) + r / per, zero << (bits * (r % per)));
      }
    }
  }

  /** compressed-tensors, pack-quantized. */
  void packed(int bits, int groupSize, boolean symmetric) {
    packed(new Grid(bits, groupSize, symmetric, false), bits, symmetric);
  }

  /** The same with columns whose groups are permuted. */
  void packedInOrder(int bits, int groupSize, boolean symmetric) {
    Grid grid = new Grid(bits, groupSize, symmetric, true);
    packed(grid, bits, symmetric);
    ByteBuffer index = tensor("weight_g_idx", SafetensorsDtype.I32, in);
    for (int c = 0; c < in; c++) {
      index.putInt(grid.groupOf[c]);
    }
  }

  private void packed(Grid grid, int bits, boolean symmetric) {
    int per = 32 / bits;
    int rowWords = (in + per - 1) / per;
    ByteBuffer words = tensor("weight_packed", SafetensorsDtype.I32, out, rowWords);
    grid.scales("weight_scale", false);
    tensor("weight_shape", SafetensorsDtype.I64, 2).putLong(out).putLong(in);
    for (int r = 0; r < out; r++) {
      for (int c = 0; c < in; c++) {
        or(words, r * rowWords + c / per, grid.code[r][c] << (bits * (c % per)));
      }
    }
    if (!symmetric) {
      int zeroRows = (out + per - 1) / per;
      ByteBuffer zeros = tensor("weight_zero_point", SafetensorsDtype.I32, zeroRows, grid.groups);
      for (int r = 0; r < out; r++) {
        for (int g = 0; g < grid.groups; g++) {
          or(zeros, r / per * grid.groups + g, grid.zero[r][g] << (bits * (r % per)));
        }
      }
    }
  }

  /** compressed-tensors, int-quantized: one scale a row. */
  void int8() {
    Grid grid = new Grid(8, in, true, false);
    ByteBuffer bytes = tensor("weight", SafetensorsDtype.I8, out, in);
    grid.scales("weight_scale", false);
    for (int r = 0; r < out; r++) {
      for (int c = 0; c < in; c++) {
        bytes.put(r * in + c, (byte) (grid.code[r][c] - 128));
      }
    }
  }

  /** E4M3 with one float32 multiplier. */
  void fp8Tensor() {
    ByteBuffer bytes = tensor("weight", SafetensorsDtype.F8_E4M3, out, in);
    float scale = largest(0, out, 0, in) / 448;
    tensor("weight_scale", SafetensorsDtype.F32).putFloat(scale);
    for (int r = 0; r < out; r++) {
      e4m3(bytes, r, 0, in, scale);
    }
  }

  /** Floats of another width. */
  void dense(SafetensorsDtype dtype) {
    ByteBuffer bytes = tensor("weight", dtype, out, in);
    for (int i = 0; i < out * in; i++) {
      short half = Float.floatToFloat16(weight[i]);
      decoded[i] = dtype == SafetensorsDtype.F16 ? Float.float16ToFloat(half) : weight[i];
      if (dtype == SafetensorsDtype.F16) {
        bytes.putShort(half);
      } else {
        bytes.putFloat(weight[i]);
      }
    }
  }

  /** E4M3 with a float32 multiplier for each row. */
  void fp8Channel() {
    ByteBuffer bytes = tensor("weight", SafetensorsDtype.F8_E4M3, out, in);
    ByteBuffer scales = tensor("weight_scale", SafetensorsDtype.F32, out, 1);
    for (int r = 0; r < out; r++) {
      float scale = largest(r, 1, 0, in) / 448;
      scales.putFloat(4 * r, scale);
      e4m3(bytes, r, 0, in, scale);
    }
  }

  /** E4M3 in square blocks with power-of-two multipliers, in V4's naming. */
  void fp8Blocks(int block) {
    int blockCols = (in + block - 1) / block;
    int blockRows = (out + block - 1) / block;
    ByteBuffer bytes = tensor("weight", SafetensorsDtype.F8_E4M3, out, in);
    ByteBuffer scales = tensor("scale", SafetensorsDtype.F8_E8M0, blockRows, blockCols);
    for (int r = 0; r < out; r++) {
      for (int b = 0; b < blockCols; b++) {
        int first = r / block * block;
        int to = Math.min(in, (b + 1) * block);
        float amax = largest(first, Math.min(block, out - first), b * block, to);
        int exponent = powerAbove(amax / 448);
        scales.put(r / block * blockCols + b, (byte) (exponent + 127));
        e4m3(bytes, r, b * block, to, (float) Math.pow(2, exponent));
      }
    }
  }

  /** E2M1 pairs with an exponent for each 32 columns. */
  void mxfp4() {
    ByteBuffer bytes = tensor("weight", SafetensorsDtype.I8, out, in / 2);
    ByteBuffer scales = tensor("scale", SafetensorsDtype.F8_E8M0, out, in / 32);
    for (int r = 0; r < out; r++) {
      for (int c = 0; c < in; c++) {
        int from = c / 32 * 32;
        int exponent = powerAbove(largest(r, 1, from, from + 32) / 6);
        scales.put(r * (in / 32) + c / 32, (byte) (exponent + 127));
        float scale = (float) Math.pow(2, exponent);
        int code = nearest(Math.abs(weight[r * in + c]) / scale);
        boolean negative = weight[r * in + c] < 0;
        int nibble = negative ? code + 8 : code;
        int at = (r * in + c) / 2;
        bytes.put(at, (byte) (bytes.get(at) | nibble << (c % 2 == 0 ? 0 : 4)));
        decoded[r * in + c] = (negative ? -E2M1[code] : E2M1[code]) * scale;
      }
    }
  }

  private static int nearest(float magnitude) {
    int best = 0;
    for (int code = 1; code < 8; code++) {
      if (Math.abs(E2M1[code] - magnitude) < Math.abs(E2M1[best] - magnitude)) {
        best = code;
      }
    }
    return best;
  }

  private void e4m3(ByteBuffer bytes, int r, int from, int to, float scale) {
    for (int c = from; c < to; c++) {
      float x = Math.min(448, Math.abs(weight[r * in + c]) / scale);
      int exponent = Math.max(-6, Math.getExponent(x));
      int steps = (int) Math.rint(x / Math.pow(2, exponent - 3));
      // Eight steps carry into the next exponent by themselves.
      int code = steps < 8 ? steps : (exponent + 7) * 8 + steps - 8;
      boolean negative = weight[r * in + c] < 0;
      bytes.put(r * in + c, (byte) (negative ? code | 0x80 : code));
      float value = (float) (steps * Math.pow(2, exponent - 3));
      decoded[r * in + c] = (negative ? -value : value) * scale;
    }
  }

  private float largest(int row, int rows, int from, int to) {
    float largest = 1e-6f;
    for (int r = row; r < row + rows; r++) {
      for (int c = from; c < to; c++) {
        largest = Math.max(largest, Math.abs(weight[r * in + c]));
      }
    }
    return largest;
  }

  private static int powerAbove(float value) {
    int exponent = Math.getExponent(value);
    return Math.pow(2, exponent) < value ? exponent + 1 : exponent;
  }
}
