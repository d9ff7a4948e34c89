package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.backend.KvRows;
import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvLayout;
import dev.fathom.kvcache.KvSpec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows of 8-bit caches: the bits that the common scalar code gives, whatever the bytes are. */
class ByteRowsTest {

  private static final int ROWS = 5;

  static Stream<Arguments> layouts() {
    return Stream.of(
            new KvSpec.Latent(0, 512, 64),
            new KvSpec.Latent(1, 13, 6),
            new KvSpec.Latent(1, 130, 2),
            new KvSpec.Full(2, 1, 4),
            new KvSpec.Full(2, 3, 207),
            new KvSpec.Full(2, 2, 128))
        .flatMap(spec ->
            Stream.of(KvFormat.FP8_E4M3, KvFormat.FP8_E5M2)
                .map(format -> Arguments.of(new KvLayout(spec, format, ROWS))));
  }

  /** Runs everything here, for a process with another width of vectors. */
  static void checkAll() {
    ByteRowsTest test = new ByteRowsTest();
    for (Arguments layout : layouts().toList()) {
      test.anyBytesAreReadAsTheCommonCodeReadsThem((KvLayout) layout.get()[0]);
      test.everyCodeWithEveryKindOfScaleIsReadAsTheCommonCodeReadsIt((KvLayout) layout.get()[0]);
    }
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void anyBytesAreReadAsTheCommonCodeReadsThem(KvLayout layout) {
    try (Arena arena = Arena.ofConfined()) {
      // Odd, since nothing promises alignment.
      MemorySegment blocks = arena.allocate(layout.blockBytes() + 3, 8).asSlice(3);
      byte[] random = new byte[Math.toIntExact(blocks.byteSize())];
      new Random(5).nextBytes(random);
      MemorySegment.copy(random, 0, blocks, ValueLayout.JAVA_BYTE, 0, random.length);
      compareAll(layout, blocks);
    }
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void everyCodeWithEveryKindOfScaleIsReadAsTheCommonCodeReadsIt(KvLayout layout) {
    float[] scales = {
      1f,
      0f,
      -0f,
      Float.MIN_VALUE,
      0x1p-130f,
      0x1.9p-126f,
      1.2345e-3f,
      -7.1f,
      0x1p119f,
      Float.MAX_VALUE,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY,
      Float.NaN
    };
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment blocks = arena.allocate(layout.blockBytes(), 8);
      for (int shift = 0; shift < 256; shift += 29) {
        for (float scale : scales) {
          fill(layout, blocks, shift, scale);
          compareAll(layout, blocks);
        }
      }
    }
  }

  private static void fill(KvLayout layout, MemorySegment blocks, int shift, float scale) {
    for (long i = 0; i < blocks.byteSize(); i++) {
      blocks.set(ValueLayout.JAVA_BYTE, i, (byte) (i + shift));
    }
    ValueLayout.OfFloat stored =
        ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    for (int row = 0; row < ROWS && layout.format() == KvFormat.FP8_E4M3; row++) {
      for (int e = 0; e < layout.quantizedElements(); e = layout.groupEnd(e)) {
        blocks.set(stored, layout.offset(row) + layout.scaleOffset(e), scale);
      }
    }
  }

  private static void compareAll(KvLayout layout, MemorySegment blocks) {
    int width = layout.spec().elementsPerToken();
    ByteRows rows = new ByteRows(layout);
    float[] want = new float[ROWS * width + 2];
    float[] got = new float[ROWS * width + 2];
    for (int row = 0; row < ROWS; row++) {
      KvRows.read(layout, blocks, layout.offset(row), 0, width, want, 1 + row * width);
    }
    rows.readAll(blocks, 0, ROWS, got, 1);
    same(got, want);
    int[] bounds = {0, 1, 2, 5, width / 3, width / 2, width - 2, width};
    for (int first : bounds) {
      for (int end : bounds) {
        if (first < end) {
          Arrays.fill(want, 7);
          Arrays.fill(got, 7);
          long row = layout.offset(ROWS - 1);
          KvRows.read(layout, blocks, row, first, end - first, want, 3);
          rows.read(blocks, row, first, end - first, got, 3);
          same(got, want);
        }
      }
    }
  }

  /** All NaN are one; the sign of zero counts. */
  private static void same(float[] got, float[] want) {
    for (int i = 0; i < want.length; i++) {
      if (Float.floatToIntBits(got[i]) != Float.floatToIntBits(want[i])) {
        assertThat(got[i]).as("element %d", i).isEqualTo(want[i]);
        throw new AssertionError("element " + i + ": expected " + want[i] + ", got " + got[i]);
      }
    }
  }
}
