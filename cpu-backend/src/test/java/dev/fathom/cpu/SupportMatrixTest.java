package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.golden.SupportMatrix;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The README's table of what is supported is what the tests run. */
class SupportMatrixTest {

  private static final Path README = Path.of("..", "README.md");

  @Test
  void theReadmeHasTheTableThatTheTestsRender() throws IOException {
    String rendered =
        SupportMatrix.render(new CpuGoldenTest(), new CpuPackedTest(), new CpuSampleTest());
    String readme = Files.readString(README);
    int begin = readme.indexOf(SupportMatrix.BEGIN);
    int end = readme.indexOf(SupportMatrix.END) + SupportMatrix.END.length();
    assertThat(begin).as("the marker above the table").isPositive();
    assertThat(end).as("the marker below the table").isGreaterThan(begin);
    if ("write".equals(System.getProperty("fathom.matrix"))) {
      Files.writeString(README, readme.substring(0, begin) + rendered + readme.substring(end));
      return;
    }
    assertThat(readme.substring(begin, end))
        .as("run this test with -Dfathom.matrix=write to renew the table")
        .isEqualTo(rendered);
  }

  @Test
  void theGoldensThatAreSaidToBeElsewhereAreThere() {
    Map<String, String> shared = SupportMatrix.sharedGoldens();
    assumeTrue(shared != null, "skipped: ../shared/fixtures/transformers is absent");
    assertThat(SupportMatrix.claimedSharedGoldens()).isEqualTo(shared);
  }
}
