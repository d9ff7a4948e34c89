package dev.fathom.architecture;

import static java.util.stream.Collectors.toMap;
import static java.util.stream.Collectors.toSet;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.fathom.backend.BackendProvider;
import java.io.File;
import java.lang.module.Configuration;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReference;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Fathom on the module path: descriptors agree with what the modules hold. */
class ModulePathTest {

  /** Packages of library modules that are nobody else's business. */
  private static final Set<String> INTERNAL =
      Set.of(
          "dev.fathom.backend.reference",
          "dev.fathom.cpu",
          "dev.fathom.cpu.kernel",
          "dev.fathom.cpu.onednn",
          "dev.fathom.cuda",
          "dev.fathom.engine",
          "dev.fathom.grammar",
          "dev.fathom.json",
          "dev.fathom.spill");

  private static final JavaClasses FATHOM =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("dev.fathom");

  private static final ModuleFinder MODULES = ModuleFinder.of(modulePath());

  /** The entries of the class path that belong on a module path: ours, Bytedeco's, slf4j's. */
  private static Path[] modulePath() {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(ModulePathTest::belongsOnModulePath)
        .map(Path::of)
        .toArray(Path[]::new);
  }

  private static boolean belongsOnModulePath(String entry) {
    String path = entry.replace(File.separatorChar, '/');
    String name = path.substring(path.lastIndexOf('/') + 1);
    boolean ours = name.startsWith("fathom-") || path.endsWith("/target/classes");
    boolean theirs = name.startsWith("slf4j-api-") || path.contains("/org/bytedeco/");
    return (ours || theirs) && !path.endsWith("/examples/target/classes");
  }

  private static Map<String, ModuleDescriptor> ourModules() {
    return MODULES.findAll().stream()
        .map(ModuleReference::descriptor)
        .filter(module -> module.name().startsWith("dev.fathom."))
        .collect(toMap(ModuleDescriptor::name, module -> module));
  }

  private static ModuleLayer layer() {
    Configuration boot = ModuleLayer.boot().configuration();
    Configuration resolved =
        boot.resolve(MODULES, ModuleFinder.of(), Set.of("dev.fathom.cpu", "dev.fathom.cuda"));
    return ModuleLayer.boot()
        .defineModulesWithOneLoader(resolved, ClassLoader.getPlatformClassLoader());
  }

  @Test
  void theModulesResolveTogether() {
    assertThat(layer().modules())
        .extracting(Module::getName)
        .contains(
            "dev.fathom.quant",
            "dev.fathom.moe",
            "dev.fathom.kvcache",
            "dev.fathom.core",
            "dev.fathom.cpu",
            "dev.fathom.cuda");
  }

  @Test
  void everyPackageIsExportedOrInternal() {
    for (ModuleDescriptor module : ourModules().values()) {
      Set<String> exported =
          module.exports().stream().map(ModuleDescriptor.Exports::source).collect(toSet());
      Set<String> expected =
          module.packages().stream()
              .filter(name -> !INTERNAL.contains(name) && hasTypes(name))
              .collect(toSet());
      assertThat(exported).as("exports of %s", module.name()).isEqualTo(expected);
    }
  }

  private static boolean hasTypes(String packageName) {
    return FATHOM.stream()
        .anyMatch(type ->
            type.getPackageName().equals(packageName)
                && !type.getSimpleName().equals("package-info"));
  }

  @Test
  void everyBackendProviderIsRegisteredForClassPathAndModulePath() {
    Set<String> implemented =
        FATHOM.stream()
            .filter(type -> type.isAssignableTo(BackendProvider.class) && !type.isInterface())
            .filter(type -> !type.getModifiers().contains(JavaModifier.ABSTRACT))
            .map(JavaClass::getName)
            .collect(toSet());
    Set<String> onClassPath =
        ServiceLoader.load(BackendProvider.class).stream()
            .map(provider -> provider.type().getName())
            .collect(toSet());
    Set<String> onModulePath =
        ourModules().values().stream()
            .flatMap(module -> module.provides().stream())
            .filter(provided -> provided.service().equals(BackendProvider.class.getName()))
            .flatMap(provided -> provided.providers().stream())
            .collect(toSet());
    assertThat(onClassPath).as("META-INF/services").isEqualTo(implemented).isNotEmpty();
    assertThat(onModulePath).as("provides in module-info").isEqualTo(implemented);
  }
}
