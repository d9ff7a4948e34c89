package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.Availability;
import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.LatentForm;
import dev.fathom.cpu.kernel.Lanes;
import dev.fathom.error.BackendException;
import dev.fathom.golden.GoldenContract;
import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.opentest4j.TestAbortedException;

/**
 * Goldens of all architectures with narrower vectors and other numbers of threads: each width in a
 * JVM of its own, since it is a constant of the process.
 */
class VectorWidthTest {

  private static final List<String> CHECKS =
      List.of("greedyTokensAreThoseOfTransformers", "twoSequencesInOneStepAreThoseOfTwoSteps");

  /** What a child JVM runs: width and threads. */
  static final class Child {
    public static void main(String[] args) throws Throwable {
      Goldens goldens = new Goldens(Integer.parseInt(args[0]), Integer.parseInt(args[1]));
      int passed = 0;
      for (String check : CHECKS) {
        Method method = GoldenContract.class.getDeclaredMethod(check);
        method.setAccessible(true);
        for (DynamicTest test :
            ((Stream<?>) method.invoke(goldens)).map(DynamicTest.class::cast).toList()) {
          try {
            test.getExecutable().execute();
            passed++;
          } catch (TestAbortedException e) {
            System.out.println("skipped " + test.getDisplayName());
          }
        }
      }
      System.out.println("bits=" + Lanes.vectorBits() + " passed=" + passed);
    }
  }

  private static final class Goldens extends GoldenContract implements BackendProvider {
    private final CpuProvider cpu = new CpuProvider();
    private final int bits;
    private final int threads;

    Goldens(int bits, int threads) {
      this.bits = bits;
      this.threads = threads;
    }

    @Override
    protected BackendProvider provider() {
      return this;
    }

    @Override
    protected List<LatentForm> latentForms() {
      return List.of(LatentForm.AUTO);
    }

    @Override
    public String name() {
      return cpu.name();
    }

    @Override
    public int preference() {
      return cpu.preference();
    }

    @Override
    public Availability probe() {
      return cpu.probe();
    }

    /** Every operation on the team, however small. */
    @Override
    public Backend create(int wanted) {
      return new CpuBackend(new BackendOptions(threads, bits, ActivationMode.AUTO), 0);
    }
  }

  @ParameterizedTest
  @CsvSource({"128, 2", "256, 5", "512, 1"})
  void goldensHoldAtEveryWidthAndNumberOfThreads(int bits, int threads)
      throws IOException, InterruptedException {
    assumeTrue(bits <= Lanes.vectorBits(), "this machine has no vectors of " + bits + " bits");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName(),
                Integer.toString(bits),
                Integer.toString(threads))
            .redirectErrorStream(true)
            .start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(out).isZero();
    assertThat(out).containsPattern("bits=" + bits + " passed=[1-9][0-9]");
  }

  @Test
  void aSecondWidthInOneProcessIsRefusedWithTheFirst() {
    int other = Lanes.vectorBits() == 128 ? 256 : 128;
    BackendOptions options = new BackendOptions(1, other, ActivationMode.AUTO);
    Assertions.assertThatThrownBy(() -> new CpuProvider().create(options))
        .isInstanceOf(BackendException.class)
        .hasMessageContaining("vectors of " + other + " bits")
        .hasMessageContaining("vectorBits=" + Lanes.vectorBits());
    new CpuProvider()
        .create(new BackendOptions(1, Lanes.vectorBits(), ActivationMode.AUTO))
        .close();
  }
}
