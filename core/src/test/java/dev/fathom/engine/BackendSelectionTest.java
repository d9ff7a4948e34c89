package dev.fathom.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.backend.Availability;
import dev.fathom.backend.Backend;
import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.reference.ReferenceProvider;
import dev.fathom.error.BackendException;
import dev.fathom.error.ErrorCode;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

class BackendSelectionTest {

  private static final String FLAG = "start java with --add-modules jdk.incubator.vector";
  private static final BackendProvider REFERENCE = new ReferenceProvider();
  private static final BackendProvider CPU =
      new Provider("cpu", 10, () -> Availability.yes("AVX2, 256 bits"));
  private static final BackendProvider NO_CPU =
      new Provider("cpu", 10, () -> Availability.no("the Vector API is not there", FLAG));
  private static final BackendProvider NO_CUDA =
      new Provider("cuda", 20, () -> Availability.no("there is no device", ""));
  private static final BackendProvider THROWING =
      new Provider(
          "cuda",
          20,
          () -> {
            throw new NoClassDefFoundError("org/bytedeco/cuda");
          });

  private static class Provider implements BackendProvider {
    private final String name;
    private final int preference;
    private final Supplier<Availability> answer;

    Provider(String name, int preference, Supplier<Availability> answer) {
      this.name = name;
      this.preference = preference;
      this.answer = answer;
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public int preference() {
      return preference;
    }

    @Override
    public Availability probe() {
      return answer.get();
    }

    @Override
    public Backend create(int threads) {
      throw new UnsupportedOperationException("not created here");
    }
  }

  private static Program program() {
    ProgramBuilder g = new ProgramBuilder("tiny");
    WeightRef embedding = new WeightRef("e", List.of(8, 4), WeightFormat.F32);
    g.output(Program.LOGITS, g.logits(g.embed(g.tokens(), embedding), embedding));
    return g.build();
  }

  private static BackendSelection choose(
      List<BackendProvider> providers, String wanted, boolean requiresFast) {
    return BackendSelection.choose(providers, wanted, requiresFast, program());
  }

  @Test
  void autoTakesTheHighestThatCanRunAndSaysWhyNoHigherOne() {
    BackendSelection chosen = choose(List.of(REFERENCE, CPU, NO_CUDA), "auto", false);
    assertThat(chosen.provider()).isSameAs(CPU);
    assertThat(chosen.isReference()).isFalse();
    assertThat(chosen.reason()).isEqualTo("AVX2, 256 bits; cuda: there is no device");
  }

  @Test
  void autoFallsBackToTheReferenceAndSaysWhyNothingFasterRuns() {
    BackendSelection chosen = choose(List.of(NO_CPU, REFERENCE), "auto", false);
    assertThat(chosen.isReference()).isTrue();
    assertThat(chosen.reason()).contains("cpu: the Vector API is not there");
    assertThat(choose(List.of(REFERENCE), "auto", false).reason())
        .contains("cpu: not on the class path");
  }

  @Test
  void aProbeThatThrowsIsABackendThatCannotRun() {
    BackendSelection chosen = choose(List.of(THROWING, CPU), "auto", true);
    assertThat(chosen.provider()).isSameAs(CPU);
    assertThat(chosen.reason()).contains("NoClassDefFoundError: org/bytedeco/cuda");
    assertThatThrownBy(() -> choose(List.of(THROWING, CPU), "cuda", false))
        .isInstanceOf(BackendException.class)
        .hasMessageContaining("its probe failed with");
  }

  @Test
  void aBackendThatLacksAnOperationIsPassedOverUnderAutoAndFailsByName() {
    BackendProvider partial =
        new Provider("cpu", 10, () -> Availability.yes("AVX2")) {
          @Override
          public Availability supports(Program program) {
            return Availability.no("has no kernel for Embed", "use the reference backend");
          }
        };
    List<BackendProvider> providers = List.of(partial, REFERENCE);
    BackendSelection chosen = choose(providers, "auto", false);
    assertThat(chosen.isReference()).isTrue();
    assertThat(chosen.reason()).contains("cpu: has no kernel for Embed");
    assertThatThrownBy(() -> choose(providers, "cpu", false))
        .isInstanceOf(BackendException.class)
        .hasMessageContaining("has no kernel for Embed");
  }

  @Test
  void aNamedBackendThatCannotRunFailsWithReasonAndFix() {
    assertThatThrownBy(() -> choose(List.of(NO_CPU, REFERENCE), "cpu", false))
        .isInstanceOfSatisfying(
            BackendException.class,
            e -> {
              assertThat(e.code()).isEqualTo(ErrorCode.BACKEND_UNAVAILABLE);
              assertThat(e.why()).isEqualTo("the Vector API is not there");
              assertThat(e.fix()).isEqualTo(FLAG);
            });
  }

  @Test
  void anUnknownNameListsTheKnownOnes() {
    assertThatThrownBy(() -> choose(List.of(CPU, REFERENCE), "tpu", false))
        .isInstanceOfSatisfying(
            BackendException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.BACKEND_UNKNOWN))
        .hasMessageContaining("known are auto, cpu, reference");
    assertThatThrownBy(() -> choose(List.of(REFERENCE), "cuda", false))
        .hasMessageContaining("add the dependency dev.fathom:fathom-cuda-backend");
  }

  @Test
  void requiringAFastBackendRefusesTheReferenceWithTheLineToPaste() {
    for (String name : List.of("auto", "reference")) {
      assertThatThrownBy(() -> choose(List.of(NO_CPU, REFERENCE), name, true))
          .isInstanceOf(BackendException.class)
          .hasMessageContaining("requireFastBackend")
          .hasMessageContaining(FLAG);
    }
  }

  @Test
  void theServiceLoaderFindsTheReference() {
    assertThat(BackendSelection.choose("reference", false, program()).isReference()).isTrue();
  }
}
