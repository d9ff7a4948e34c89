package dev.fathom.architecture;

import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static java.util.stream.Collectors.toCollection;
import static java.util.stream.Collectors.toMap;
import static java.util.stream.Collectors.toSet;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** Who may know whom among the packages of core. */
class CoreArchitectureTest {

  private static final String ROOT = "dev.fathom";

  private static final Set<String> LEAVES =
      Set.of("dev.fathom.quant", "dev.fathom.moe", "dev.fathom.kvcache");

  /** For each package the packages of core that it may use, besides itself and the leaves. */
  private static final Map<String, Set<String>> MAY_USE = mayUse();

  private static final int FEWEST_CLASSES = 200;

  private static final JavaClasses CORE =
      new ClassFileImporter().importPath(Path.of("target", "classes"));

  private static Map<String, Set<String>> mayUse() {
    Map<String, Set<String>> table = new HashMap<>();
    allow(table, "error");
    allow(table, "json", "error");
    allow(table, "text", "error", "json");
    allow(table, "checkpoint", "error", "json");
    allow(table, "grammar", "error", "json", "text");
    allow(table, "program", "error");
    allow(table, "backend", "error", "program");
    allow(table, "backend.reference", "error", "program", "backend");
    allow(table, "sampling", "error", "program", "backend");
    allow(table, "arch", "error", "json", "program", "checkpoint");
    allow(table, "spill", "error", "program", "backend");
    allow(
        table,
        "engine",
        "spill",
        "error",
        "program",
        "backend",
        "sampling",
        "text",
        "grammar",
        "arch",
        "checkpoint",
        "json");
    allow(
        table,
        "quantization",
        "error",
        "json",
        "program",
        "checkpoint",
        "arch",
        "backend",
        "engine");
    Set<String> all = new HashSet<>(table.keySet());
    table.put(ROOT, all);
    return Map.copyOf(table);
  }

  private static void allow(Map<String, Set<String>> table, String user, String... used) {
    table.put(
        ROOT + "." + user, Arrays.stream(used).map(name -> ROOT + "." + name).collect(toSet()));
  }

  /** The entry of the table that a package belongs to: its own or its nearest parent's. */
  private static String entryOf(String packageName) {
    String name = packageName;
    while (!MAY_USE.containsKey(name)) {
      int dot = name.lastIndexOf('.');
      assertThat(dot).as("package %s has no place in MAY_USE", packageName).isPositive();
      name = name.substring(0, dot);
      assertThat(name).as("package %s has no place in MAY_USE", packageName).isNotEqualTo(ROOT);
    }
    return name;
  }

  private static boolean isOurs(JavaClass type) {
    String name = type.getPackageName();
    return name.equals(ROOT) || name.startsWith(ROOT + ".");
  }

  private static boolean mayUse(JavaClass user, JavaClass used) {
    if (!isOurs(used) || LEAVES.contains(used.getPackageName())) {
      return true;
    }
    String from = entryOf(user.getPackageName());
    String to = entryOf(used.getPackageName());
    return from.equals(to) || MAY_USE.get(from).contains(to);
  }

  @Test
  void packagesUseOnlyWhatTheTableAllows() {
    List<String> violations =
        CORE.stream()
            .filter(type -> !type.getSimpleName().equals("module-info"))
            .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
            .filter(
                use -> !mayUse(use.getOriginClass(), use.getTargetClass().getBaseComponentType()))
            .map(Dependency::getDescription)
            .toList();
    assertThat(violations).isEmpty();
  }

  @Test
  void packagesFormNoCycle() {
    slices().matching("dev.fathom.(**)").should().beFreeOfCycles().check(CORE);
  }

  @Test
  void coreKnowsNeitherVectorsNorCudaNorAnyLibraryButItsLogger() {
    Set<String> foreign =
        CORE.stream()
            .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
            .map(use -> use.getTargetClass().getBaseComponentType())
            .filter(type -> !isOurs(type) && !type.isPrimitive())
            .map(JavaClass::getPackageName)
            .filter(name -> !name.startsWith("java."))
            .collect(toCollection(TreeSet::new));
    assertThat(foreign)
        .isSubsetOf("org.slf4j", "org.jspecify.annotations", "jdk.jfr", "com.sun.management");
  }

  @Test
  void theRulesSawEnoughClasses() {
    Map<String, Integer> counts =
        MAY_USE.keySet().stream().collect(toMap(name -> name, CoreArchitectureTest::countTypes));
    List<String> empty = counts.keySet().stream().filter(name -> counts.get(name) == 0).toList();
    assertThat(empty).as("packages without a type").isEmpty();
    assertThat(CORE.size()).isGreaterThanOrEqualTo(FEWEST_CLASSES);
  }

  private static int countTypes(String packageName) {
    return (int)
        CORE.stream()
            .filter(type -> type.getPackageName().equals(packageName))
            .filter(type -> !type.getSimpleName().endsWith("-info"))
            .count();
  }

  @Test
  void architecturesDoNotUseEachOther() {
    List<String> violations = new ArrayList<>();
    Set<JavaClass> architectures = architectures();
    for (JavaClass architecture : architectures) {
      for (Dependency use : architecture.getDirectDependenciesFromSelf()) {
        JavaClass used = outermost(use.getTargetClass());
        if (!used.equals(architecture) && architectures.contains(used)) {
          violations.add(use.getDescription());
        }
      }
    }
    assertThat(violations).isEmpty();
  }

  @Test
  void everyArchitectureIsRegistered() {
    Set<JavaClass> architectures = architectures();
    Set<JavaClass> registered =
        CORE.stream()
            .filter(type -> type.getPackageName().equals("dev.fathom.arch"))
            .filter(type -> !architectures.contains(outermost(type)))
            .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
            .map(use -> outermost(use.getTargetClass()))
            .collect(toSet());
    assertThat(registered).containsAll(architectures);
  }

  /**
   * Architectures: concrete top-level types of {@code .arch} with an interface of {@code .arch}.
   */
  private static Set<JavaClass> architectures() {
    return CORE.stream()
        .filter(type -> type.getPackageName().equals("dev.fathom.arch"))
        .filter(type -> type.isTopLevelClass() && !type.isInterface())
        .filter(type -> !type.getModifiers().contains(JavaModifier.ABSTRACT))
        .filter(type ->
            type.getAllRawInterfaces().stream()
                .anyMatch(face -> face.getPackageName().equals("dev.fathom.arch")))
        .collect(toSet());
  }

  private static JavaClass outermost(JavaClass type) {
    JavaClass outer = type.getBaseComponentType();
    while (outer.getEnclosingClass().isPresent()) {
      outer = outer.getEnclosingClass().get();
    }
    return outer;
  }
}
