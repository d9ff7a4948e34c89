package dev.fathom.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.DeepSeekModel;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.ResponseFormat;
import dev.fathom.Speculation;
import dev.fathom.TokenStream;
import java.io.File;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * An application that is undeployed leaves nothing behind: a class loader that loaded the library
 * and used a model is collected after the model was closed. In a JVM of its own.
 */
class ClassLoaderTest {

  /** What the child loader runs: one of everything that might keep a class alive. */
  public static final class Use {

    private Use() {}

    /** Loads, generates in every way, closes. */
    public static void run(String backend, String path) {
      try (DeepSeekModel model =
          DeepSeekModel.builder(Path.of(path))
              .backend(backend)
              .contextTokens(128)
              .threads(2)
              .speculation(Speculation.ngram(2))
              .load()) {
        GenerationRequest request =
            GenerationRequest.of(Prompt.tokens(new int[] {3, 4, 5}))
                .ignoreEos(true)
                .maxTokens(16)
                .build();
        System.out.println("tokens=" + model.generate(request).usage().completionTokens());
        model.submit(request).join();
        model.generate(
            request.toBuilder()
                .ignoreEos(false)
                .responseFormat(ResponseFormat.choice("yes"))
                .build());
        TokenStream left = model.stream(request);
        System.out.println("streams=" + left.iterator().hasNext());
        System.out.println("steps=" + model.metrics().steps());
      }
    }
  }

  /** The program of the child JVM; alone on its class path. */
  static final class Child {

    private Child() {}

    private static WeakReference<ClassLoader> useAndForget(
        String backend, String model, boolean loses) throws Exception {
      List<URL> urls = new ArrayList<>();
      for (String entry : System.getProperty("child.path").split(File.pathSeparator)) {
        urls.add(Path.of(entry).toUri().toURL());
      }
      ClassLoader platform = ClassLoader.getPlatformClassLoader();
      try (URLClassLoader loader = new URLClassLoader(urls.toArray(URL[]::new), platform)) {
        Class<?> use = Class.forName("dev.fathom.examples.ClassLoaderTest$Use", true, loader);
        Thread.currentThread().setContextClassLoader(loader);
        use.getMethod("run", String.class, String.class).invoke(null, backend, model);
        Thread.currentThread().setContextClassLoader(platform);
        if (!loses) {
          KEPT.add(use);
        }
        return new WeakReference<>(loader);
      }
    }

    private static final List<Object> KEPT = new ArrayList<>();

    /** Uses a backend and says whether its class loader was collected. */
    public static void main(String[] args) throws Exception {
      WeakReference<ClassLoader> loader = useAndForget(args[0], args[1], args.length == 2);
      for (int i = 0; i < 100 && loader.get() != null && args.length == 2; i++) {
        System.gc();
        Thread.sleep(50);
      }
      System.gc();
      System.out.println("collected=" + (loader.get() == null));
    }
  }

  /**
   * Runs the child. Soft references are dropped at once: the JDK keeps one to the last record whose
   * {@code equals} was linked ({@code java.lang.runtime.ObjectMethods}), and with it its loader
   * until memory is wanted.
   */
  private static String child(String... arguments) throws Exception {
    Path classes = Path.of(Child.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:SoftRefLRUPolicyMSPerMB=0",
                "-XX:StartFlightRecording:settings=default",
                "-Xlog:jfr+startup=off",
                "--add-modules",
                "jdk.incubator.vector",
                "-Dchild.path=" + System.getProperty("java.class.path"),
                "-cp",
                classes.toString(),
                Child.class.getName()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().keySet().removeIf(name -> name.endsWith("_OPTIONS"));
    Process process = builder.start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return output;
  }

  @TempDir Path folder;

  private String model() {
    return TinyCheckpoint.write(folder, 256).toString();
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void theClassLoaderOfALibraryThatWasUsedIsCollected(String backend) throws Exception {
    assertThat(child(backend, model())).contains("tokens=16", "streams=true", "collected=true");
  }

  @Test
  void aClassLoaderWhoseClassIsKeptIsNotCollected() throws Exception {
    assertThat(child("cpu", model(), "keep")).contains("streams=true", "collected=false");
  }
}
