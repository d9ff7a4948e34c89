package dev.fathom.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TokenDecoderTest {

  @Test
  void whatComesTokenByTokenIsWhatTheWholeSequenceDecodesTo() {
    Tokenizer tokenizer = Tokenizers.v3();
    Random random = new Random(3);
    for (int i = 0; i < 20_000; i++) {
      int[] ids = new int[random.nextInt(12)];
      for (int k = 0; k < ids.length; k++) {
        // half of them from the 256 byte tokens, which make ill-formed UTF-8
        ids[k] = random.nextBoolean() ? 3 + random.nextInt(256) : random.nextInt(129_280);
      }
      TokenDecoder decoder = new TokenDecoder(tokenizer);
      StringBuilder text = new StringBuilder();
      for (int id : ids) {
        String part = decoder.accept(id);
        assertThat(part.isEmpty() || !Character.isHighSurrogate(part.charAt(part.length() - 1)))
            .isTrue();
        text.append(part);
      }
      text.append(decoder.flush());
      assertThat(text.toString()).isEqualTo(tokenizer.decode(ids));
    }
  }

  @Test
  void anEmojiOfSeveralTokensComesWithItsLastByte() {
    Tokenizer tokenizer = Tokenizers.v3();
    int[] ids = tokenizer.encodeText("🤖");
    assertThat(ids).hasSizeGreaterThan(1);
    TokenDecoder decoder = new TokenDecoder(tokenizer);
    for (int i = 0; i < ids.length - 1; i++) {
      assertThat(decoder.accept(ids[i])).isEmpty();
    }
    assertThat(decoder.accept(ids[ids.length - 1])).isEqualTo("🤖");
    assertThat(decoder.flush()).isEmpty();
  }

  @Test
  void aTextThatEndsInsideACharacterIsFlushedAsOneReplacement() {
    Tokenizer tokenizer = Tokenizers.v3();
    TokenDecoder decoder = new TokenDecoder(tokenizer);
    assertThat(decoder.accept(byteToken(0xF0)) + decoder.accept(byteToken(0x9F))).isEmpty();
    assertThat(decoder.flush()).isEqualTo("\uFFFD");
    assertThat(decoder.flush()).isEmpty();
    assertThat(decoder.accept(byteToken('a'))).isEqualTo("a");
  }

  @Test
  void illFormedSequencesBecomeOneReplacementForEachMaximalSubpart() {
    assertThat(decodeBytes(0xED, 0xA0, 0x80)).isEqualTo("\uFFFD\uFFFD\uFFFD");
    assertThat(decodeBytes(0xE2, 0x82, 'a')).isEqualTo("\uFFFDa");
    assertThat(decodeBytes(0xF4, 0x90, 0x80, 0x80)).isEqualTo("\uFFFD\uFFFD\uFFFD\uFFFD");
    assertThat(decodeBytes(0xC0, 0xAF)).isEqualTo("\uFFFD\uFFFD");
    assertThat(decodeBytes(0xF0, 0x9F, 0xF0, 0x9F, 0x9A, 0x80)).isEqualTo("\uFFFD🚀");
  }

  @Test
  void wellFormedTextIsNeverChanged() {
    StringBuilder all = new StringBuilder();
    for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
      if (c < 0xD800 || c > 0xDFFF) {
        all.appendCodePoint(c);
      }
    }
    byte[] bytes = all.toString().getBytes(StandardCharsets.UTF_8);
    StringBuilder out = new StringBuilder();
    Utf8Decoder decoder = new Utf8Decoder();
    decoder.decode(bytes, 0, bytes.length, out);
    decoder.flush(out);
    assertThat(out.toString().equals(all.toString())).isTrue();
  }

  @Test
  void idsWithoutATokenGiveNothingAndNegativeOnesAreRefused() {
    TokenDecoder decoder = new TokenDecoder(Tokenizers.v3());
    assertThat(decoder.accept(129_279)).isEmpty();
    assertThat(decoder.accept(Integer.MAX_VALUE)).isEmpty();
    assertThatThrownBy(() -> decoder.accept(-1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be >= 0: tokenId=-1");
  }

  private static int byteToken(int b) {
    for (int id = 3; id < 3 + 256; id++) {
      byte[] bytes = Tokenizers.v3().tokenBytes(id);
      if (bytes.length == 1 && (bytes[0] & 0xFF) == b) {
        return id;
      }
    }
    throw new IllegalStateException("must be a byte of the vocabulary: byte=" + b);
  }

  private static String decodeBytes(int... bytes) {
    int[] ids = new int[bytes.length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = byteToken(bytes[i]);
    }
    return Tokenizers.v3().decode(ids);
  }
}
