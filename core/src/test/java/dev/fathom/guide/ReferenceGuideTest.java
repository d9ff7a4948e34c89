package dev.fathom.guide;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class ReferenceGuideTest extends GuideContract {

  private static final Path GUIDE = Path.of("..", "docs", "adding-an-architecture.md");
  private static final Path SOURCE =
      Path.of("src", "test", "java", "dev", "fathom", "guide", "ParallelDecoder.java");

  @Override
  protected String backend() {
    return "reference";
  }

  @Test
  void theGuideShowsTheCodeThatRunsHere() throws IOException {
    List<String> source = Files.readAllLines(SOURCE);
    int begin = source.indexOf("// guide begin");
    int end = source.indexOf("// guide end");
    assertThat(begin).isPositive();
    String code = String.join("\n", source.subList(begin + 1, end));
    assertThat(source).hasSizeLessThan(150);
    assertThat(Files.readString(GUIDE)).contains("```java\n" + code + "\n```");
  }
}
