package dev.fathom.jmh;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.program.Op;
import dev.fathom.program.Program;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class KernelProgramsTest {

  @ParameterizedTest
  @EnumSource(ModelShape.class)
  void linearHasBothMatricesOfTheShape(ModelShape model) {
    LinearBenchmark benchmark = new LinearBenchmark();
    benchmark.model = model;
    Program program = benchmark.program();
    assertThat(count(program, Op.Linear.class::isInstance)).isPositive().isEven();
    assertThat(program.weights())
        .anyMatch(w -> w.shape().equals(List.of(model.intermediateSize(), model.hiddenSize())))
        .anyMatch(w -> w.shape().equals(List.of(model.hiddenSize(), model.intermediateSize())));
  }

  @ParameterizedTest
  @EnumSource(ModelShape.class)
  void logitsHaveTheVocabularyOfTheShape(ModelShape model) {
    LogitsBenchmark benchmark = new LogitsBenchmark();
    benchmark.model = model;
    assertThat(benchmark.program().vocabSize()).isEqualTo(model.vocabSize());
  }

  @ParameterizedTest
  @EnumSource(ElementwiseBenchmark.Kernel.class)
  void elementwiseKernelsFitEachShape(ElementwiseBenchmark.Kernel kernel) {
    ElementwiseBenchmark benchmark = new ElementwiseBenchmark();
    benchmark.kernel = kernel;
    for (ModelShape model : ModelShape.values()) {
      benchmark.model = model;
      assertThat(benchmark.program().ops()).hasSizeGreaterThan(32);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = ModelShape.class,
      names = {"V2_LITE", "V3"})
  void mixturesRoutersAndLatentAttentionFitTheShapesThatHaveThem(ModelShape model) {
    MoeBenchmark moe = new MoeBenchmark();
    moe.model = model;
    assertThat(count(moe.program(), Op.Moe.class::isInstance)).isEqualTo(1);
    RouteBenchmark route = new RouteBenchmark();
    route.model = model;
    assertThat(count(route.program(), Op.Route.class::isInstance)).isPositive();
    LatentAttentionBenchmark attention = new LatentAttentionBenchmark();
    attention.model = model;
    Program program = attention.program();
    assertThat(count(program, Op.LatentAttention.class::isInstance))
        .isEqualTo(program.kvSpecs().size());
  }

  @ParameterizedTest
  @EnumSource(
      value = ModelShape.class,
      names = {"QWEN2_1_5B"})
  void groupedQueryAttentionFitsTheShapeThatHasIt(ModelShape model) {
    AttentionBenchmark attention = new AttentionBenchmark();
    attention.model = model;
    assertThat(count(attention.program(), Op.Attention.class::isInstance)).isPositive();
  }

  @ParameterizedTest
  @EnumSource(
      value = ModelShape.class,
      names = {"V3"})
  void theIndexerFitsTheShapeThatHasIt(ModelShape model) {
    TopKIndexBenchmark index = new TopKIndexBenchmark();
    index.model = model;
    assertThat(count(index.program(), Op.TopKIndex.class::isInstance)).isPositive();
  }

  private static long count(Program program, Predicate<Op> kind) {
    return program.ops().stream().filter(kind).count();
  }
}
