package dev.fathom.grammar;

import dev.fathom.text.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;

/** The vocabularies that the tests of grammars run on. */
final class Vocabularies {

  private Vocabularies() {}

  private static final class V3 {
    static final Tokenizer TOKENIZER = Tokenizer.parse(read());
    static final TokenBytes BYTES = TokenBytes.of(TOKENIZER, 129_280);

    private static byte[] read() {
      String name = "/dev/fathom/text/deepseek-v3.tokenizer.json.gz";
      try (InputStream in = Vocabularies.class.getResourceAsStream(name)) {
        if (in == null) {
          throw new IllegalStateException("must be a test resource: name=" + name);
        }
        return new GZIPInputStream(in).readAllBytes();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private static final class Small {
    private static final String[] TEXTS = {
      "\":",
      "\",",
      "\":\"",
      "{\"",
      "\"}",
      "}}",
      "]]",
      "[[",
      "}]",
      ",\"",
      "\", \"",
      "\": ",
      "{}",
      "[]",
      "true",
      "false",
      "null",
      "tru",
      "12",
      "00",
      "-1",
      "1.",
      "e+",
      "ab",
      "abc",
      "name",
      "\n ",
      "\n  ",
      "  ",
      "\\u",
      "\\n",
      "\\\"",
      "\u00e9",
      "\u4f60",
      "\u4f60\u597d",
      "a\u4f60",
      "(1",
      "+(",
      ")+",
      "1)",
      "))",
      "yes",
      "no",
      "\"a",
      "a\"",
      "0123",
      "ab,c",
      ", ",
      ",\n",
      "1,2"
    };

    static final TokenBytes BYTES = make();

    private static TokenBytes make() {
      List<byte[]> tokens = new ArrayList<>();
      for (int b = 0; b < 256; b++) {
        tokens.add(new byte[] {(byte) b});
      }
      for (String text : TEXTS) {
        tokens.add(text.getBytes(StandardCharsets.UTF_8));
      }
      tokens.add(new byte[] {(byte) 0xE4, (byte) 0xBD});
      tokens.add(new byte[] {(byte) 0xA0, '"'});
      tokens.add(new byte[] {(byte) 0xBD, (byte) 0xA0, (byte) 0xE4});
      tokens.add("ab".getBytes(StandardCharsets.UTF_8));
      tokens.add(new byte[0]);
      return new TokenBytes(tokens.toArray(byte[][]::new), tokens.size() + 3);
    }
  }

  /** The tokenizer of DeepSeek V3. */
  static Tokenizer v3() {
    return V3.TOKENIZER;
  }

  /** Its 128,000 tokens. */
  static TokenBytes v3Bytes() {
    return V3.BYTES;
  }

  /** All single bytes and some tokens that span what grammars keep apart. */
  static TokenBytes small() {
    return Small.BYTES;
  }

  /** Takes a text byte by byte; returns whether it is all of an answer. */
  static boolean accepts(CompiledGrammar grammar, String text) {
    GrammarMatcher matcher = grammar.newMatcher();
    return matcher.acceptBytes(text.getBytes(StandardCharsets.UTF_8), 0) && matcher.mayEnd();
  }
}
