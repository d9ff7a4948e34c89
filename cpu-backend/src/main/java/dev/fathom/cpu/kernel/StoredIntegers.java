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
  private final byte[] packed;

  /** Creates a view of a matrix of {@link Int4Layout} or Int8Layout without a group index. */
  StoredIntegers(WeightMatrix source) {
    this.source = source;
    this.layout = (IntegerLayout) Objects.requireNonNull(source.packing());
    this.packed = new byte[layout.bits() == 4 ? Math.ceilDiv(source.cols(), 2) : source.cols()];
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
    MemorySegment data = source.data();
    MemorySegment.copy(
        data, ValueLayout.JAVA_BYTE, (long) r * packed.length, packed, 0, packed.length);
    if (layout.bits() == 8) {
      System.arraycopy(packed, 0, out, 0, packed.length);
      return;
    }
    for (int c = 0; c < source.cols(); c++) {
      out[c] = (byte) (((packed[c >> 1] >>> Int4Layout.shift(c)) & 0xF) - MIDDLE_OF_4);
    }
  }
}
