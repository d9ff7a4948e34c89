package dev.fathom.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

class BlockScaleLayoutTest {
  @Test
  void theLatentProjectionOfV3HasAPartialFifthBlockRow() {
    BlockScaleLayout layout = BlockScaleLayout.square(576, 7168, 128);

    assertThat(layout.scaleRows()).isEqualTo(5);
    assertThat(layout.scaleCols()).isEqualTo(56);
    assertThat(layout.scaleIndex(575, 7167)).isEqualTo(4 * 56 + 55);
    assertThat(layout.scaleIndex(128, 127)).isEqualTo(56);
    assertThat(layout.weightBytes()).isEqualTo(576L * 7168);
    assertThat(layout.scaleBytes()).isEqualTo(5L * 56 * 4);
  }

  @Test
  void blocksNeedNotBeSquare() {
    BlockScaleLayout layout = new BlockScaleLayout(5, 7, 2, 3);

    assertThat(layout.scaleRows()).isEqualTo(3);
    assertThat(layout.scaleCols()).isEqualTo(3);
    assertThat(layout.scaleIndex(1, 2)).isZero();
    assertThat(layout.scaleIndex(1, 3)).isEqualTo(1);
    assertThat(layout.scaleIndex(2, 6)).isEqualTo(5);
    assertThat(layout.scaleIndex(4, 6)).isEqualTo(8);
  }

  @Test
  void theDerivedBlockIsNeverRowsOverScaleRows() {
    assertThat(BlockScaleLayout.deriveBlock(576, 7168, 5, 56)).isEqualTo(128);
    assertThat(BlockScaleLayout.deriveBlock(1536, 7168, 12, 56)).isEqualTo(128);
    assertThat(BlockScaleLayout.deriveBlock(1536, 7168, 48, 224)).isEqualTo(32);
    assertThat(BlockScaleLayout.deriveBlock(160, 136, 3, 3)).isEqualTo(64);
    assertThat(BlockScaleLayout.deriveBlock(20, 300, 1, 3)).isEqualTo(128);
    assertThat(BlockScaleLayout.deriveBlock(20, 20, 1, 1)).isEqualTo(32);
    assertThatThrownBy(() -> BlockScaleLayout.deriveBlock(576, 7168, 6, 56))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "must be the scales of square blocks of 32, 64 or 128: weight=[576, 7168] scales=[6, 56]");
  }

  @Test
  void sizesBelowOneAndScalesThatOverflowAreRejected() {
    assertThatThrownBy(() -> new BlockScaleLayout(0, 1, 1, 1)).hasMessage("must be >= 1: rows=0");
    assertThatThrownBy(() -> new BlockScaleLayout(1, -3, 1, 1)).hasMessage("must be >= 1: cols=-3");
    assertThatThrownBy(() -> new BlockScaleLayout(1, 1, 0, 1))
        .hasMessage("must be >= 1: blockRows=0");
    assertThatThrownBy(() -> new BlockScaleLayout(1, 1, 1, 0))
        .hasMessage("must be >= 1: blockCols=0");
    assertThatThrownBy(() -> new BlockScaleLayout(1 << 16, 1 << 16, 1, 1))
        .hasMessage("must be <= 2147483647: scales=4294967296");
    int huge = Integer.MAX_VALUE;
    assertThat(new BlockScaleLayout(huge, 1, huge, 1).scaleRows()).isEqualTo(1);
    assertThat(new BlockScaleLayout(huge, huge, 128, huge).weightBytes())
        .isEqualTo(4611686014132420609L);
  }

  @Test
  void oneMultiplierARowOrForAllIsABlockToo() {
    MemorySegment ones = MemorySegment.ofArray(new byte[] {0x38, 0x38, 0x38, 0x38, 0x38, 0x38});
    WeightMatrix channels =
        WeightMatrix.blockFp8(
            BlockScaleLayout.perChannel(2, 3), ones, MemorySegment.ofArray(new float[] {2f, 5f}));
    assertThat(channels.get(0, 2)).isEqualTo(2f);
    assertThat(channels.get(1, 0)).isEqualTo(5f);
    WeightMatrix tensor =
        WeightMatrix.blockFp8(
            BlockScaleLayout.perTensor(2, 3), ones, MemorySegment.ofArray(new float[] {3f}));
    assertThat(tensor.get(0, 0)).isEqualTo(3f);
    assertThat(tensor.get(1, 2)).isEqualTo(3f);
  }
}
