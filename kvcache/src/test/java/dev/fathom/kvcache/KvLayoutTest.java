package dev.fathom.kvcache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Sizes of what a layer keeps, and how layers are grouped. */
class KvLayoutTest {
  @Test
  void theLatentCacheOfV3Takes70272BytesATokenInBf16() {
    List<KvSpec> specs = new ArrayList<>();
    for (int layer = 0; layer < 61; layer++) {
      specs.add(new KvSpec.Latent(layer, 512, 64));
    }
    List<KvGroup> groups = KvGroups.of(specs);

    assertThat(groups).hasSize(1);
    assertThat(groups.get(0).elementsPerToken()).isEqualTo(35_136);
    assertThat(groups.get(0).blockBytes(KvFormat.BF16, 1)).isEqualTo(70_272);
    assertThat(groups.get(0).blockBytes(KvFormat.F32, 64)).isEqualTo(35_136L * 4 * 64);
  }

  @Test
  void rowsOfABlockFollowEachOtherWithoutPadding() {
    KvLayout layout = new KvLayout(new KvSpec.Latent(3, 13, 4), KvFormat.BF16, 6);

    assertThat(layout.bytesPerToken()).isEqualTo(34);
    assertThat(layout.blockBytes()).isEqualTo(204);
    assertThat(layout.offset(0)).isZero();
    assertThat(layout.offset(5)).isEqualTo(170);
    assertThat(layout.slotOffset(7 * 6 + 5)).isEqualTo(7 * 204 + 170);
    assertThatThrownBy(() -> layout.offset(6))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("must be in [0, 6): tokenInBlock=6");
    assertThatThrownBy(() -> layout.offset(-1)).hasMessage("must be in [0, 6): tokenInBlock=-1");
  }

  @Test
  void slotsBeyondTwoGibibytesKeepTheirOffset() {
    KvLayout layout = new KvLayout(new KvSpec.Full(0, 128, 128), KvFormat.F32, 64);

    assertThat(layout.bytesPerToken()).isEqualTo(131_072);
    assertThat(layout.slotOffset(Integer.MAX_VALUE)).isEqualTo(131_072L * Integer.MAX_VALUE);
    KvSpec huge = new KvSpec.Latent(0, Integer.MAX_VALUE, 0);
    assertThat(new KvLayout(huge, KvFormat.F32, 2).blockBytes()).isEqualTo(8L * Integer.MAX_VALUE);
  }

  @Test
  void fullAttentionKeepsKeysAndValues() {
    assertThat(new KvSpec.Full(0, 8, 128).elementsPerToken()).isEqualTo(2048);
    assertThat(new KvSpec.Latent(0, 512, 0).elementsPerToken()).isEqualTo(512);
  }

  @Test
  void layersOfAKindShareAGroupInTheOrderTheyCome() {
    KvSpec.Full full0 = new KvSpec.Full(0, 2, 8);
    KvSpec.Latent latent1 = new KvSpec.Latent(1, 8, 4);
    KvSpec.Full full2 = new KvSpec.Full(2, 2, 8);
    List<KvGroup> groups = KvGroups.of(List.of(full0, latent1, full2));

    assertThat(groups)
        .containsExactly(new KvGroup(0, List.of(full0, full2)), new KvGroup(1, List.of(latent1)));
    assertThat(KvGroups.of(List.of())).isEmpty();
  }

  @Test
  void aGroupOwnsItsListAndHoldsEachLayerOnce() {
    KvSpec.Full spec = new KvSpec.Full(4, 1, 1);
    List<KvSpec> specs = new ArrayList<>(List.of(spec));
    KvGroup group = new KvGroup(0, specs);
    specs.clear();

    assertThat(group.specs()).containsExactly(spec);
    assertThatThrownBy(() -> new KvGroup(0, List.of(spec, new KvSpec.Latent(4, 1, 1))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be there once: layer=4");
    assertThatThrownBy(() -> new KvGroup(0, List.of())).hasMessage("must be >= 1: specs.size=0");
    assertThatThrownBy(() -> new KvGroup(-1, List.of(spec))).hasMessage("must be >= 0: id=-1");
    assertThatThrownBy(() -> group.blockBytes(KvFormat.F32, 0))
        .hasMessage("must be >= 1: blockTokens=0");
  }

  @Test
  void sizesThatAreTooSmallOrTooLargeAreRejected() {
    assertThatThrownBy(() -> new KvSpec.Latent(-1, 1, 1)).hasMessage("must be >= 0: layer=-1");
    assertThatThrownBy(() -> new KvSpec.Latent(0, 0, 1)).hasMessage("must be >= 1: kvLoraRank=0");
    assertThatThrownBy(() -> new KvSpec.Latent(0, 1, -1))
        .hasMessage("must be >= 0: qkRopeHeadDim=-1");
    assertThatThrownBy(() -> new KvSpec.Latent(0, Integer.MAX_VALUE, 1))
        .hasMessage("must be <= 2147483647: elementsPerToken=2147483648");
    assertThatThrownBy(() -> new KvSpec.Full(0, 0, 1)).hasMessage("must be >= 1: numKvHeads=0");
    assertThatThrownBy(() -> new KvSpec.Full(0, 1, 0)).hasMessage("must be >= 1: headDim=0");
    assertThatThrownBy(() -> new KvSpec.Full(0, 1 << 15, 1 << 15))
        .hasMessage("must be <= 1073741823: numKvHeads*headDim=1073741824");
    assertThatThrownBy(() -> new KvLayout(new KvSpec.Full(0, 1, 1), KvFormat.F32, 0))
        .hasMessage("must be >= 1: blockTokens=0");
  }

  @Test
  void formatsAreFoundByName() {
    assertThat(KvFormat.fromName("BF16")).isEqualTo(KvFormat.BF16);
    assertThat(KvFormat.fromName("float32")).isEqualTo(KvFormat.F32);
    assertThat(KvFormat.BF16.bytesPerElement()).isEqualTo(2);
    assertThatThrownBy(() -> KvFormat.fromName("fp3"))
        .hasMessage("must be one of f32, bf16, fp8_e4m3, fp8_e5m2: kvFormat=fp3");
  }

  @Test
  void aCopyHasTwoDifferentBlocks() {
    assertThatThrownBy(() -> new BlockCopy(3, 3))
        .hasMessage("must differ from source: destination=3");
    assertThatThrownBy(() -> new BlockCopy(-1, 3)).hasMessage("must be >= 0: source=-1");
  }

  @Test
  void rowsOfCompressorsStayFloat32WhateverTheCacheHas() {
    KvSpec.CompressorRows rows = new KvSpec.CompressorRows(0, KvSpec.Stream.MAIN, 6, 8);
    KvLayout layout = new KvLayout(rows, KvFormat.BF16, 4);
    assertThat(layout.format()).isEqualTo(KvFormat.F32);
    assertThat(layout.blockBytes()).isEqualTo(4 * 12 * 4);
    assertThat(new KvGroup(0, List.of(rows)).blockBytes(KvFormat.BF16, 4)).isEqualTo(4 * 12 * 4);
  }
}
