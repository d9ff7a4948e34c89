package dev.fathom.quant;

import java.util.List;

/**
 * Row-major E2M1 pairs with one E8M0 scale for each 32 columns: the experts of DeepSeek-V4.
 *
 * <p>One row of 64 columns:
 *
 * <pre>
 *   elements, I8 [rows, cols/2]                       bit 7..4   3..0
 *     byte     0         1              15        16               31
 *          [x1  x0] [x3  x2]  ...  [x31 x30] | [x33 x32]  ...  [x63 x62]
 *
 *   scales, E8M0 [rows, cols/32]
 *     byte     0                                 1
 *          [exponent of x0 .. x31]           [exponent of x32 .. x63]
 *
 *   W[r, c] = e2m1(x) · 2^(exponent[r, c / 32] - 127)
 * </pre>
 *
 * <p>The low nibble is the even element. GGUF's MXFP4 pairs x[j] with x[j + 16] in a byte instead;
 * it is another format. Source: the safetensors files of DeepSeek-V4; OCP Microscaling Formats 1.0.
 *
 * @param rows rows of the matrix (output features), at least 1
 * @param cols columns of the matrix (input features), a multiple of 32
 */
public record Mxfp4Layout(int rows, int cols) implements WeightLayout {
  /** Columns that share a scale. */
  public static final int BLOCK = 32;

  /**
   * Checks the sizes.
   *
   * @throws IllegalArgumentException if a size is below 1 or cols is no multiple of 32
   */
  public Mxfp4Layout {
    Checks.atLeast(1, "rows", rows);
    Checks.atLeast(1, "cols", cols);
    Checks.multiple(BLOCK, "cols", cols);
  }

  /** Offset of the byte of element (r, c); its nibble is the high one where c is odd. */
  public long byteIndex(int r, int c) {
    return (long) r * (cols / 2) + (c >> 1);
  }

  /** Offset of the scale of element (r, c). */
  public long scaleIndex(int r, int c) {
    return (long) r * (cols / BLOCK) + c / BLOCK;
  }

  /** Dimensions of the tensor of the elements: [rows, cols / 2]. */
  public List<Integer> weightShape() {
    return List.of(rows, cols / 2);
  }

  /** Dimensions of the tensor of the scales: [rows, cols / 32]. */
  public List<Integer> scaleShape() {
    return List.of(rows, cols / BLOCK);
  }

  @Override
  public long weightBytes() {
    return (long) rows * (cols / 2);
  }

  @Override
  public long scaleBytes() {
    return (long) rows * (cols / BLOCK);
  }
}
