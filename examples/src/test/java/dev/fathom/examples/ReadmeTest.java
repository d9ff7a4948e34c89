package dev.fathom.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.DeepSeekModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's programs are these classes, and they do what it says. */
class ReadmeTest {

  private static final Path README = Path.of("..", "README.md");
  private static final Path SAMPLE = Path.of("models", "sample");
  private static final Path SOURCES = Path.of("src/main/java/dev/fathom/examples");
  private static final List<String> PROGRAMS =
      List.of("QuickStart.java", "Streaming.java", "ToolUse.java", "Batch.java");

  private static String region(String file) throws IOException {
    StringBuilder region = new StringBuilder();
    boolean inside = false;
    for (String line : Files.readAllLines(SOURCES.resolve(file))) {
      if (line.strip().equals("// README end")) {
        return region.toString().stripTrailing().stripIndent() + "\n";
      }
      if (inside) {
        region.append(line).append('\n');
      }
      inside |= line.strip().equals("// README begin");
    }
    throw new AssertionError("no region in " + file);
  }

  private static List<String> javaBlocks(String markdown) {
    List<String> blocks = new ArrayList<>();
    StringBuilder block = null;
    for (String line : markdown.lines().toList()) {
      if (block == null && line.equals("```java")) {
        block = new StringBuilder();
      } else if (block != null && line.equals("```")) {
        blocks.add(block.toString());
        block = null;
      } else if (block != null) {
        block.append(line).append('\n');
      }
    }
    return blocks;
  }

  @Test
  void theReadmesJavaIsTheSourceOfTheseClasses() throws IOException {
    List<String> regions = new ArrayList<>();
    for (String program : PROGRAMS) {
      regions.add(region(program));
    }
    List<String> blocks = javaBlocks(Files.readString(README));

    assertThat(blocks).isNotEmpty();
    assertThat(blocks.getFirst()).isEqualTo(regions.getFirst());
    assertThat(regions).containsAll(blocks);
  }

  @Test
  void theGuidesJavaIsTheSourceOfTheseClassesAndRuns(@TempDir Path folder) throws IOException {
    assertThat(javaBlocks(Files.readString(Path.of("..", "docs", "quantization.md"))))
        .containsExactly(region("Quantizing.java"));

    Path source = TinyCheckpoint.write(folder, 4096);
    Path target = folder.resolve("target");
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Quantizing.quantize(source, target, new PrintStream(out, true, StandardCharsets.UTF_8));
    assertThat(out.toString(StandardCharsets.UTF_8)).matches("\\d+ linears in \\d+ bytes\\s");
    try (DeepSeekModel model = DeepSeekModel.load(target)) {
      assertThat(model.chat("Hi").text()).isNotNull();
    }
  }

  @Test
  void theFirstProgramHasAtMostFifteenLines() throws IOException {
    assertThat(region("QuickStart.java")).contains("DeepSeekModel.load");
    assertThat(region("QuickStart.java").lines().count()).isLessThanOrEqualTo(15);
  }

  @Test
  void theFirstProgramAnswers() {
    PrintStream before = System.out;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    try {
      QuickStart.main(new String[] {SAMPLE.toString()});
    } finally {
      System.setOut(before);
    }
    assertThat(out.toString(StandardCharsets.UTF_8).strip())
        .isEqualTo("The capital of Norway is Oslo.");
  }

  @Test
  void theOtherProgramsStreamCallAToolAndBatch() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    PrintStream print = new PrintStream(out, true, StandardCharsets.UTF_8);
    try (DeepSeekModel model = DeepSeekModel.load(SAMPLE)) {
      Streaming.stream(model, print);
      ToolUse.callTool(model, print);
      Batch.askAll(model, print);
    }

    assertThat(out.toString(StandardCharsets.UTF_8))
        .contains("7 + 8 = 15", "27 + 48 = 75\n", " tok/s")
        .contains("get_weather {\"city\": \"Paris\"}\n")
        .contains("The capital of Norway is Oslo.\nThe capital of Japan is ");
  }
}
