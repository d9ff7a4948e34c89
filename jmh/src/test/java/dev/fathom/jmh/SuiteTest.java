package dev.fathom.jmh;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Field;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.openjdk.jmh.annotations.Param;

class SuiteTest {

  @ParameterizedTest
  @EnumSource(Suite.class)
  void rowsDifferAndHaveAValueThatEachParameterKnows(Suite suite) throws NoSuchFieldException {
    List<Row> rows = suite.rows();
    assertThat(new HashSet<>(rows)).hasSameSizeAs(rows);
    for (Row row : rows) {
      for (Map.Entry<String, String> entry : row.params().entrySet()) {
        Field field = row.benchmark().getField(entry.getKey());
        assertThat(field.getAnnotation(Param.class).value())
            .as(row.label())
            .contains(entry.getValue());
      }
    }
  }

  @Test
  void theSmokeAndQuickRowsAreAmongAll() {
    assertThat(Suite.ALL.rows()).containsAll(Suite.QUICK.rows()).containsAll(Suite.SMOKE.rows());
  }

  @Test
  void rowsOfABenchmarkFollowEachOther() {
    List<Class<?>> inOrder =
        Suite.QUICK.rows().stream().<Class<?>>map(Row::benchmark).distinct().toList();
    List<Row> sorted =
        Suite.QUICK.rows().stream()
            .sorted((a, b) -> inOrder.indexOf(a.benchmark()) - inOrder.indexOf(b.benchmark()))
            .toList();
    assertThat(Suite.QUICK.rows()).isEqualTo(sorted);
  }

  @Test
  void eachNumberOfThreadsIsARowUnlessTheKernelHasNoChoice() {
    Row linear = Row.of(LinearBenchmark.class, "").getFirst();
    assertThat(linear.withThreads(List.of(1, 2))).extracting(Row::threads).containsExactly(1, 2);
    Row sampler = Row.of(HostSamplerBenchmark.class, "").getFirst();
    assertThat(sampler.withThreads(List.of(2))).containsExactly(sampler);
  }

  @Test
  void anUnknownParameterIsRefused() {
    assertThatThrownBy(() -> Row.of(LinearBenchmark.class, "width=3"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("must be a parameter of LinearBenchmark: part=width=3");
  }
}
