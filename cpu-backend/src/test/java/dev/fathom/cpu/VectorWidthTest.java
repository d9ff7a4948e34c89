package dev.fathom.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.fathom.backend.ActivationMode;
import dev.fathom.backend.Availability;
import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendOptions;
import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.LatentForm;
import dev.fathom.backend.contract.BackendContract;
import dev.fathom.cpu.kernel.Lanes;
import dev.fathom.error.BackendException;
import dev.fathom.golden.GoldenContract;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.opentest4j.TestAbortedException;

/**
 * Goldens of all architectures and the contracts of all operations with narrower vectors and other
 * numbers of threads: each width in a JVM of its own, since it is a constant of the process.
 */
class VectorWidthTest {

  /** What a child JVM runs: a width and numbers of threads. */
  static final class Child {
    public static void main(String[] args) throws Throwable {
      int goldens = 0;
      int contracts = 0;
      for (int i = 1; i < args.length; i++) {
        int threads = Integer.parseInt(args[i]);
        EagerProvider provider = new EagerProvider(Integer.parseInt(args[0]), threads);
        goldens += runAll(new Goldens(provider), GoldenContract.class);
        contracts += runAll(new Operations(provider), BackendContract.class);
      }
      ByteRowsTest.checkAll();
      System.out.println(
          "bits=" + Lanes.vectorBits() + " goldens=" + goldens + " contracts=" + contracts);
    }

    private static int runAll(Object contract, Class<?> type) throws Throwable {
      int passed = 0;
      for (Method method : factories(type)) {
        for (DynamicTest test : tests(contract, method)) {
          try {
            test.getExecutable().execute();
            passed++;
          } catch (TestAbortedException e) {
            System.out.println("skipped " + test.getDisplayName());
          }
        }
      }
      return passed;
    }

    private static List<Method> factories(Class<?> contract) {
      List<Method> found = new ArrayList<>();
      for (Class<?> c = contract; c != Object.class; c = c.getSuperclass()) {
        for (Method method : c.getDeclaredMethods()) {
          if (method.isAnnotationPresent(TestFactory.class) && method.getParameterCount() == 0) {
            found.add(method);
          }
        }
      }
      return found;
    }
  }

  /** Without the goldens' folder a factory gives up with the reason. */
  private static List<DynamicTest> tests(Object contract, Method factory)
      throws IllegalAccessException {
    factory.setAccessible(true);
    try {
      return ((Stream<?>) factory.invoke(contract)).map(DynamicTest.class::cast).toList();
    } catch (InvocationTargetException e) {
      assertThat(e.getCause()).isInstanceOf(TestAbortedException.class);
      System.out.println(e.getCause().getMessage());
      return List.of();
    }
  }

  private static final class Operations extends BackendContract {
    private final BackendProvider provider;

    Operations(BackendProvider provider) {
      this.provider = provider;
    }

    @Override
    protected BackendProvider provider() {
      return provider;
    }

    @Override
    protected List<LatentForm> latentForms() {
      return List.of(LatentForm.AUTO);
    }
  }

  private static final class Goldens extends GoldenContract {
    private final BackendProvider provider;

    Goldens(BackendProvider provider) {
      this.provider = provider;
    }

    @Override
    protected BackendProvider provider() {
      return provider;
    }

    @Override
    protected List<LatentForm> latentForms() {
      return List.of(LatentForm.AUTO);
    }
  }

  private static final class EagerProvider implements BackendProvider {
    private final CpuProvider cpu = new CpuProvider();
    private final int bits;
    private final int threads;

    EagerProvider(int bits, int threads) {
      this.bits = bits;
      this.threads = threads;
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
  @ValueSource(ints = {128, 256, 512})
  void goldensAndContractsHoldAtEveryWidthAndNumberOfThreads(int bits)
      throws IOException, InterruptedException {
    assumeTrue(bits <= Lanes.vectorBits(), "this machine has no vectors of " + bits + " bits");
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules",
            "jdk.incubator.vector",
            "-cp",
            System.getProperty("java.class.path"),
            Child.class.getName(),
            Integer.toString(bits),
            "1",
            "2",
            "5");
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).as(out).isZero();
    assertThat(out)
        .containsPattern("bits=" + bits + " goldens=[1-9][0-9]+ contracts=[1-9][0-9]{2}");
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
