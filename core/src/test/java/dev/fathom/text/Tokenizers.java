package dev.fathom.text;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPInputStream;

/** The tokenizers that the tests of this package run on, read once for all of them. */
final class Tokenizers {
  private static final String V3 = "deepseek-v3.tokenizer.json.gz";
  private static final String SAMPLE = "sample.tokenizer.json";

  private Tokenizers() {}

  private static final class HolderV3 {
    static final Tokenizer TOKENIZER = Tokenizer.parse(v3Json());
  }

  private static final class HolderR1 {
    static final Tokenizer TOKENIZER = Tokenizer.parse(withThinkTokens());
  }

  private static final class HolderSample {
    static final Tokenizer TOKENIZER = Tokenizer.parse(bytes(SAMPLE));
  }

  private static final class HolderV4 {
    static final Tokenizer TOKENIZER = Tokenizer.parse(withV4Tokens());
  }

  /** R1's with the further control tokens of V4 at place holders. */
  static Tokenizer v4() {
    return HolderV4.TOKENIZER;
  }

  /** The published tokenizer of DeepSeek V3. */
  static Tokenizer v3() {
    return HolderV3.TOKENIZER;
  }

  /** V3's with {@code <think>} and {@code </think>} at 128798 and 128799, as in R1 and V3.1. */
  static Tokenizer r1() {
    return HolderR1.TOKENIZER;
  }

  /** The tokenizer of the sample model. */
  static Tokenizer sample() {
    return HolderSample.TOKENIZER;
  }

  static byte[] v3Json() {
    return bytes(V3);
  }

  static byte[] sampleJson() {
    return bytes(SAMPLE);
  }

  private static byte[] withThinkTokens() {
    String json = new String(v3Json(), StandardCharsets.UTF_8);
    String named =
        json.replace("<｜place▁holder▁no▁798｜>", "<think>")
            .replace("<｜place▁holder▁no▁799｜>", "</think>");
    if (named.length() == json.length()) {
      throw new IllegalStateException("must have two place holders to rename");
    }
    return named.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] withV4Tokens() {
    String json = new String(withThinkTokens(), StandardCharsets.UTF_8);
    int place = 700;
    json = json.replace("<｜place▁holder▁no▁" + place++ + "｜>", ControlTokens.DSML);
    json = json.replace("<｜place▁holder▁no▁" + place++ + "｜>", ControlTokens.REMINDER);
    for (ChatMessage.Task task : ChatMessage.Task.values()) {
      json = json.replace("<｜place▁holder▁no▁" + place++ + "｜>", task.token());
    }
    return json.getBytes(StandardCharsets.UTF_8);
  }

  /** The tokenizer on which the tests of a prompt family run. */
  static Tokenizer of(String family) {
    return switch (family) {
      case "sample" -> sample();
      case "deepseek-v4", "deepseek-v4-0731" -> v4();
      default -> r1();
    };
  }

  /** A resource of this package, unpacked if it is a gzip file. */
  static byte[] bytes(String resource) {
    try (InputStream in = Tokenizers.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalStateException("must be a test resource: name=" + resource);
      }
      return resource.endsWith(".gz") ? new GZIPInputStream(in).readAllBytes() : in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The lines of a text resource. */
  static List<String> lines(String resource) {
    return new String(bytes(resource), StandardCharsets.UTF_8).lines().toList();
  }

  /** A resource copied to a file, for code that wants a path. */
  static Path file(Path folder, String resource, String name) {
    try {
      return Files.write(folder.resolve(name), bytes(resource));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
