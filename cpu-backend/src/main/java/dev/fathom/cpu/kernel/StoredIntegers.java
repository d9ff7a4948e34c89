package dev.fathom.cpu.kernel;

import dev.fathom.quant.Int4Layout;
import dev.fathom.quant.IntegerLayout;
import dev.fathom.quant.WeightMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/** Integers as a row-major {@link WeightMatrix} holds them. */
final class StoredIntegers implements Integers {

  private static final int MIDDLE_OF_4 = 8;
  private static final int MIDDLE_OF_8 = 128;

  private final WeightMatrix source;
  private final IntegerLayout layout;

  /** Creates a view of a matrix of {@link Int4Layout} or Int8Layout without a group index. */
  StoredIntegers(WeightMatrix source) {
    this.source = source;
    this.layout = (IntegerLayout) Objects.requireNonNull(source.packing());
  }

  @Override
  public int rows() {
    return source.rows();
  }

  @Override
  public int cols() {
    return source.cols();
  }

  @Override
  public int bits() {
    return layout.bits();
  }

  @Override
  public int groups() {
    return layout.groups();
  }

  @Override
  public int groupSize() {
    return layout.groupSize();
  }

  @Override
  public boolean hasZeros() {
    return source.zeroPoints() != null;
  }

  @Override
  public float scale(int r, int g) {
    return source.scale(r, g);
  }

  @Override
  public int zero(int r, int g) {
    return source.zeroPoint(r, g) - (layout.bits() == 4 ? MIDDLE_OF_4 : MIDDLE_OF_8);
  }

  @Override
  public void codes(int r, byte[] out) {
    int cols = source.cols();
    int bytes = layout.bits() == 4 ? Math.ceilDiv(cols, 2) : cols;
    // Pairs go to the end of their place and are read before they are overwritten.
    int pairs = cols - bytes;
    MemorySegment.copy(source.data(), ValueLayout.JAVA_BYTE, (long) r * bytes, out, pairs, bytes);
    for (int c = 0; c < cols && layout.bits() == 4; c++) {
      out[c] = (byte) (((out[pairs + (c >> 1)] >>> Int4Layout.shift(c)) & 0xF) - MIDDLE_OF_4);
    }
  }
}
