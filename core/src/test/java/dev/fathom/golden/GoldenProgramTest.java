package dev.fathom.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.fathom.program.Program;
import dev.fathom.program.ProgramPrinter;
import java.nio.charset.StandardCharsets;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The program of each family, printed: a change of an architecture shows as a diff of a file named
 * program.txt beside the golden.
 */
class GoldenProgramTest {

  @TestFactory
  Stream<DynamicTest> theProgramOfEachFamilyPrintsAsTheFileBesideItsGolden() {
    return Golden.SPEC.stream()
        .map(name ->
            dynamicTest(
                name,
                () -> {
                  Program program = TestModel.ofResource("goldens/" + name).program();
                  byte[] golden = TestModel.resource("goldens/" + name + "/program.txt");
                  assertThat(ProgramPrinter.print(program))
                      .isEqualTo(new String(golden, StandardCharsets.UTF_8));
                }));
  }

  @Test
  void aQuantizedCheckpointHasTheSameProgramInOtherFormats() {
    String plain = print("v3_fp8");
    assertThat(plain).contains("FP8_E4M3").contains("gate.weight[8, 160] BF16");
    assertThat(print("v3").lines().filter(l -> l.contains(" = latentAttention(")).count())
        .isEqualTo(3);
  }

  private static String print(String name) {
    return ProgramPrinter.print(TestModel.ofResource("goldens/" + name).program());
  }
}
