package dev.fathom.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvLayout;
import dev.fathom.kvcache.KvSpec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Rows in 8-bit formats: their sizes, their errors, their edges. */
class KvRowsTest {

  private static final List<KvSpec> SPECS =
      List.of(
          new KvSpec.Latent(0, 512, 64),
          new KvSpec.Latent(0, 13, 4),
          new KvSpec.Latent(0, 130, 1),
          new KvSpec.Full(0, 3, 20),
          new KvSpec.Full(0, 2, 192),
          new KvSpec.IndexerKeys(0, 128),
          new KvSpec.SlidingWindow(0, 300, 7),
          new KvSpec.Compressed(0, KvSpec.Stream.MAIN, 1, 4));

  private static float[] random(int n, double magnitude, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) ((2 * random.nextDouble() - 1) * magnitude);
    }
    return values;
  }

  private static float[] roundTrip(KvLayout layout, float[] row) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment blocks = arena.allocate(layout.bytesPerToken() * 3, 1);
      long at = layout.bytesPerToken();
      blocks.fill((byte) 0x5A);
      KvRows.write(layout, blocks, at, 0, row, 0, row.length);
      float[] back = new float[row.length];
      KvRows.read(layout, blocks, at, 0, row.length, back, 0);
      for (long i = 0; i < at; i++) {
        assertThat(blocks.get(java.lang.foreign.ValueLayout.JAVA_BYTE, i)).isEqualTo((byte) 0x5A);
        assertThat(blocks.get(java.lang.foreign.ValueLayout.JAVA_BYTE, 2 * at + i))
            .isEqualTo((byte) 0x5A);
      }
      return back;
    }
  }

  @Test
  void theLatentRowOfV3Takes656BytesWithScalesAnd576Without() {
    KvSpec latent = new KvSpec.Latent(0, 512, 64);
    assertThat(new KvLayout(latent, KvFormat.FP8_E4M3, 64).bytesPerToken()).isEqualTo(656);
    assertThat(new KvLayout(latent, KvFormat.FP8_E5M2, 64).bytesPerToken()).isEqualTo(576);
    KvSpec full = new KvSpec.Full(0, 8, 128);
    assertThat(new KvLayout(full, KvFormat.FP8_E4M3, 1).bytesPerToken()).isEqualTo(2048 + 16 * 4);
  }

  @Test
  void elementsAreOffByAtMostHalfAStepOfTheirFormat() {
    for (KvSpec spec : SPECS) {
      for (double magnitude : new double[] {1e-6, 1, 3e4}) {
        float[] row = random(spec.elementsPerToken(), magnitude, spec.hashCode());
        KvLayout scaled = new KvLayout(spec, KvFormat.FP8_E4M3, 2);
        float[] back = roundTrip(scaled, row);
        for (int i = 0; i < row.length; i++) {
          float largest = largest(scaled, row, i);
          double step = i >= scaled.quantizedElements() ? 1.0 / 256 : 1.0 / 16;
          double allowed = Math.max(Math.abs(row[i]) * step, largest / 448.0 * 0x1p-10);
          assertThat(Math.abs((double) back[i] - row[i])).isLessThanOrEqualTo(allowed * 1.0001);
        }
        if (magnitude >= 1) {
          float[] coarse = roundTrip(new KvLayout(spec, KvFormat.FP8_E5M2, 2), row);
          for (int i = 0; i < row.length; i++) {
            double allowed = Math.max(Math.abs(row[i]) / 8, 0x1p-17);
            assertThat(Math.abs((double) coarse[i] - row[i])).isLessThanOrEqualTo(allowed);
          }
        }
      }
    }
  }

  /** Largest magnitude of the group of an element. */
  private static float largest(KvLayout layout, float[] row, int element) {
    if (element >= layout.quantizedElements()) {
      return Math.abs(row[element]);
    }
    float largest = 0;
    for (int i = layout.groupBegin(element); i < layout.groupEnd(element); i++) {
      largest = Math.max(largest, Math.abs(row[i]));
    }
    return largest;
  }

  @Test
  void zerosStayZerosAndHugeValuesStayFinite() {
    for (KvFormat format : List.of(KvFormat.FP8_E4M3, KvFormat.FP8_E5M2)) {
      for (KvSpec spec : SPECS) {
        KvLayout layout = new KvLayout(spec, format, 1);
        float[] row = new float[spec.elementsPerToken()];
        assertThat(roundTrip(layout, row)).containsOnly(0f);
        Arrays.fill(row, 1e30f);
        for (float value : roundTrip(layout, row)) {
          assertThat(value).isFinite().isGreaterThan(50_000f);
        }
      }
    }
  }

  @Test
  void partsOfARowAreReadAsTheWhole() {
    for (KvFormat format : List.of(KvFormat.FP8_E4M3, KvFormat.FP8_E5M2)) {
      KvSpec.Latent spec = new KvSpec.Latent(0, 300, 20);
      KvLayout layout = new KvLayout(spec, format, 1);
      float[] row = random(320, 5, 3);
      float[] whole = roundTrip(layout, row);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment blocks = arena.allocate(layout.blockBytes(), 1);
        KvRows.write(layout, blocks, 0, 0, row, 0, 300);
        KvRows.write(layout, blocks, 0, 300, row, 300, 20);
        for (int first : new int[] {0, 1, 127, 128, 255, 299, 300, 311}) {
          int len = Math.min(9, 320 - first);
          float[] part = new float[len];
          KvRows.read(layout, blocks, 0, first, len, part, 0);
          assertThat(part).isEqualTo(Arrays.copyOfRange(whole, first, first + len));
        }
      }
    }
  }

  @Test
  void aRangeThatCutsAGroupAndOtherFormatsAreRefused() {
    KvLayout layout = new KvLayout(new KvSpec.Latent(0, 256, 8), KvFormat.FP8_E4M3, 1);
    KvLayout plain = new KvLayout(new KvSpec.Latent(0, 256, 8), KvFormat.BF16, 1);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment blocks = arena.allocate(1024, 1);
      float[] row = new float[264];
      assertThatThrownBy(() -> KvRows.write(layout, blocks, 0, 1, row, 0, 127))
          .hasMessage("must not cut a group of elements: first=1 len=127");
      assertThatThrownBy(() -> KvRows.write(layout, blocks, 0, 128, row, 0, 100))
          .hasMessage("must not cut a group of elements: first=128 len=100");
      assertThatThrownBy(() -> KvRows.write(plain, blocks, 0, 0, row, 0, 1))
          .hasMessage("must be an 8-bit format: format=BF16");
      assertThatThrownBy(() -> KvRows.read(plain, blocks, 0, 0, 1, row, 0))
          .hasMessage("must be an 8-bit format: format=BF16");
    }
  }
}
