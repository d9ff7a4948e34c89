package dev.fathom.jmh;

import dev.fathom.text.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.Stream;

/**
 * The text that {@link TokenizerBenchmark} encodes: nothing of it is committed, all of it is made
 * of what lies around, in a fixed order.
 *
 * <ul>
 *   <li>english: the licence texts of the running JDK ({@code legal/**}), then this repository's
 *       Markdown files
 *   <li>code: this repository's Java sources
 *   <li>chinese: words of the tokenizer's own vocabulary, drawn by a seeded generator with
 *       frequencies as 1/rank and put into sentences; no such sentence means anything
 *   <li>mixed: the three in turn, 4,096 characters each
 * </ul>
 */
final class TokenizerCorpus {
  private static final int CHUNK_LEN = 4096;
  private static final int PART_LEN = 1 << 20;
  private static final int MAX_WORDS = 20_000;

  private TokenizerCorpus() {}

  /** Returns the texts of a kind, each of at most 4,096 characters. */
  static List<String> texts(String kind, Path repository, Tokenizer tokenizer) throws IOException {
    return switch (kind) {
      case "english" -> chunks(english(repository));
      case "code" -> chunks(files(repository, ".java"));
      case "chinese" -> chunks(chinese(tokenizer));
      case "mixed" -> mixed(repository, tokenizer);
      default -> throw new IllegalArgumentException("must be a kind of corpus: kind=" + kind);
    };
  }

  private static List<String> mixed(Path repository, Tokenizer tokenizer) throws IOException {
    List<String> english = chunks(english(repository));
    List<String> code = chunks(files(repository, ".java"));
    List<String> chinese = chunks(chinese(tokenizer));
    List<String> mixed = new ArrayList<>();
    int numRounds = Math.min(english.size(), Math.min(code.size(), chinese.size()));
    for (int i = 0; i < numRounds; i++) {
      mixed.addAll(List.of(english.get(i), code.get(i), chinese.get(i)));
    }
    return mixed;
  }

  private static String english(Path repository) throws IOException {
    Path legal = Path.of(System.getProperty("java.home"), "legal");
    return files(legal, "") + files(repository, ".md");
  }

  private static String files(Path root, String suffix) throws IOException {
    StringBuilder out = new StringBuilder();
    try (Stream<Path> paths = Files.walk(root)) {
      List<Path> sorted =
          paths
              .filter(p -> p.toString().endsWith(suffix) && !p.toString().contains("target"))
              .filter(p -> Files.isRegularFile(p) && !Files.isSymbolicLink(p))
              .sorted()
              .toList();
      for (Path path : sorted) {
        if (out.length() < PART_LEN) {
          out.append(new String(Files.readAllBytes(path), StandardCharsets.UTF_8));
        }
      }
    }
    return out.toString();
  }

  private static String chinese(Tokenizer tokenizer) {
    List<String> words = new ArrayList<>();
    for (int id = 0; id < tokenizer.size() && words.size() < MAX_WORDS; id++) {
      String word = tokenizer.decode(id);
      if (!word.isEmpty() && word.codePoints().allMatch(c -> c >= 0x4E00 && c <= 0x9FA5)) {
        words.add(word);
      }
    }
    Random random = new Random(42);
    StringBuilder out = new StringBuilder();
    while (out.length() < PART_LEN / 2) {
      for (int n = 3 + random.nextInt(12); n > 0; n--) {
        double rank = Math.pow(words.size(), random.nextDouble());
        out.append(words.get(Math.min(words.size() - 1, (int) rank - 1)));
      }
      int mark = random.nextInt(8);
      out.append(mark < 4 ? "，" : mark < 7 ? "。" : "。\n");
      if (random.nextInt(20) == 0) {
        out.append(String.format(Locale.ROOT, "%d", random.nextInt(10_000)));
      }
    }
    return out.toString();
  }

  private static List<String> chunks(String text) {
    List<String> chunks = new ArrayList<>();
    for (int from = 0; from < text.length(); from += CHUNK_LEN) {
      chunks.add(text.substring(from, Math.min(text.length(), from + CHUNK_LEN)));
    }
    return chunks;
  }
}
