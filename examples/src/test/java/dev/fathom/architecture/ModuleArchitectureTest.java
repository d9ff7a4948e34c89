package dev.fathom.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static java.util.stream.Collectors.toSet;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Who may know whom among the modules, and what each alone may touch. */
class ModuleArchitectureTest {

  private static final String QUANT = "dev.fathom.quant..";
  private static final String MOE = "dev.fathom.moe..";
  private static final String KV_CACHE = "dev.fathom.kvcache..";
  private static final String CPU = "dev.fathom.cpu..";
  private static final String KERNELS = "dev.fathom.cpu.kernel..";
  private static final String CUDA = "dev.fathom.cuda..";
  private static final String EXAMPLES = "dev.fathom.examples..";

  private static final String[] SEEN_BY_BACKENDS = {
    "dev.fathom.program", "dev.fathom.backend", "dev.fathom.error", QUANT, MOE, KV_CACHE
  };

  /** Fewest types, package descriptions included, that the rules must have seen of each module. */
  private static final Map<String, Integer> FEWEST_CLASSES =
      Map.of(QUANT, 10, MOE, 6, KV_CACHE, 8, "dev.fathom.program..", 10, KERNELS, 15, CUDA, 4);

  private static final JavaClasses FATHOM =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("dev.fathom");

  @Test
  void leavesKnowNothingOfOurs() {
    for (String leaf : new String[] {QUANT, MOE, KV_CACHE}) {
      noClasses()
          .that(resideInAPackage(leaf))
          .should()
          .dependOnClassesThat(resideInAPackage("dev.fathom..").and(not(resideInAPackage(leaf))))
          .check(FATHOM);
    }
  }

  @Test
  void nothingBelowKnowsABackendOrAProgram() {
    noClasses()
        .that(resideOutside(CPU, CUDA, EXAMPLES))
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(CPU, CUDA, EXAMPLES)
        .check(FATHOM);
  }

  @Test
  void aBackendKnowsProgramsTheSeamErrorsAndTheLeavesOnly() {
    for (String backend : new String[] {CPU, CUDA}) {
      noClasses()
          .that(resideInAPackage(backend))
          .should()
          .dependOnClassesThat(
              resideInAPackage("dev.fathom..")
                  .and(not(resideInAPackage(backend)))
                  .and(not(JavaClass.Predicates.resideInAnyPackage(SEEN_BY_BACKENDS))))
          .check(FATHOM);
    }
  }

  @Test
  void onlyKernelsTouchTheVectorApi() {
    noClasses()
        .that(not(resideInAPackage(KERNELS)))
        .should()
        .dependOnClassesThat(resideInAPackage("jdk.incubator.."))
        .check(FATHOM);
  }

  @Test
  void onlyTheCudaBackendTouchesBytedeco() {
    noClasses()
        .that(not(resideInAPackage(CUDA)))
        .should()
        .dependOnClassesThat(resideInAPackage("org.bytedeco.."))
        .check(FATHOM);
  }

  @Test
  void atMostOnePackageReinterpretsMemory() {
    Set<String> packages =
        FATHOM.stream()
            .filter(type ->
                type.getMethodCallsFromSelf().stream()
                    .anyMatch(call ->
                        call.getName().equals("reinterpret")
                            && call.getTargetOwner().isEquivalentTo(MemorySegment.class)))
            .map(JavaClass::getPackageName)
            .collect(toSet());
    assertThat(packages).hasSizeLessThanOrEqualTo(1);
  }

  @Test
  void kernelsHaveNoState() {
    fields()
        .that()
        .areDeclaredInClassesThat(resideInAPackage(KERNELS))
        .should(notBeState())
        .check(FATHOM);
  }

  /** A field is state if it can be assigned twice, or if others can write a static array. */
  private static ArchCondition<JavaField> notBeState() {
    return new ArchCondition<>("be final, and private where it is a static array") {
      @Override
      public void check(JavaField field, ConditionEvents events) {
        Set<JavaModifier> modifiers = field.getModifiers();
        if (modifiers.contains(JavaModifier.SYNTHETIC)) {
          return;
        }
        boolean shared =
            modifiers.contains(JavaModifier.STATIC)
                && field.getRawType().isArray()
                && !modifiers.contains(JavaModifier.PRIVATE);
        if (!modifiers.contains(JavaModifier.FINAL) || shared) {
          events.add(SimpleConditionEvent.violated(field, field.getDescription()));
        }
      }
    };
  }

  @Test
  void theRulesSawEnoughClasses() {
    FEWEST_CLASSES.forEach((name, fewest) ->
        assertThat(FATHOM.that(resideInAPackage(name)).size())
            .as("types in %s", name)
            .isGreaterThanOrEqualTo(fewest));
  }

  private static DescribedPredicate<JavaClass> resideOutside(String... packages) {
    return not(JavaClass.Predicates.resideInAnyPackage(packages));
  }
}
