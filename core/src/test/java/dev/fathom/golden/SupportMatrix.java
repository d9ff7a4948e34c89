package dev.fathom.golden;

import dev.fathom.arch.Architecture;
import dev.fathom.arch.Architectures;
import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.program.WeightRef;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * The README's table of what is supported, rendered from what the tests run: the registry of
 * architectures, the goldens that {@link GoldenContract} walks, the tests of {@link PackedContract}
 * and {@link SampleContract}, and what each backend says that it skips.
 */
public final class SupportMatrix {

  /** The line above the table. */
  public static final String BEGIN =
      "<!-- support matrix: rendered by SupportMatrixTest, see docs/adding-an-architecture.md -->";

  /** The line below the table. */
  public static final String END = "<!-- end of the support matrix -->";

  private static final String SAMPLE_TYPE = "deepseek_v3";
  private static final String PLAIN_TYPE = "deepseek";
  private static final Map<String, String> TITLES = new LinkedHashMap<>();

  static {
    TITLES.put("deepseek_v3", "V3, R1, V3.1");
    TITLES.put("deepseek_v2", "V2, V2-Lite, V2.5");
    TITLES.put("deepseek_v32", "V3.2");
    TITLES.put("deepseek_v4", "V4 Flash, Pro");
    TITLES.put("deepseek", "DeepSeek-MoE v1");
    TITLES.put("llama", "DeepSeek-LLM, Coder, Math, R1 distills on Llama");
    TITLES.put("qwen2", "R1 distills on Qwen2");
    TITLES.put("qwen3", "R1-0528 on Qwen3");
  }

  private final GoldenContract cpu;
  private final StringBuilder out = new StringBuilder();

  private SupportMatrix(GoldenContract cpu) {
    this.cpu = cpu;
  }

  /**
   * Renders the block, markers included.
   *
   * @param cpu the tests that hold the CPU backend to goldens
   * @param packed those that hold it to packed weights
   * @param sample those that hold it to the trained sample
   */
  public static String render(GoldenContract cpu, PackedContract packed, SampleContract sample) {
    SupportMatrix matrix = new SupportMatrix(cpu);
    matrix.models(tests(sample.getClass().getSuperclass()));
    matrix.packings(tests(packed.getClass().getSuperclass()));
    return BEGIN + "\n\n" + matrix.out + "\n" + END;
  }

  private void models(List<String> sampleTests) {
    out.append("| model (`model_type`) | weights | reference | CPU | verified by |\n");
    out.append("|---|---|---|---|---|\n");
    Map<String, List<Golden>> goldens = new TreeMap<>();
    List<String> names = new ArrayList<>(Golden.SPEC);
    names.add(Golden.TRANSFORMERS);
    for (String name : names) {
      goldens.computeIfAbsent(modelType(name), t -> new ArrayList<>()).add(Golden.of(name));
    }
    goldens.put(PLAIN_TYPE, List.of(PlainMoe.golden()));
    List<String> types = Architectures.all().stream().map(Architecture::modelType).toList();
    if (!TITLES.keySet().containsAll(types)) {
      throw new IllegalStateException("an architecture has no title in the matrix: " + types);
    }
    for (String type : TITLES.keySet()) {
      row(type, goldens.getOrDefault(type, List.of()), sampleTests);
    }
  }

  private static String modelType(String golden) {
    byte[] config = TestModel.resource("goldens/" + golden + "/config.json");
    return ModelConfig.parse(config, "config.json").modelType();
  }

  private void row(String type, List<Golden> goldens, List<String> sampleTests) {
    List<String> proofs = new ArrayList<>();
    if (type.equals(PLAIN_TYPE)) {
      proofs.add("a plain float64 program in the tests (`PlainMoe`)");
    } else if (!goldens.isEmpty()) {
      proofs.add(
          "goldens " + String.join(", ", goldens.stream().map(g -> code(g.name())).toList()));
    }
    if (type.equals(SAMPLE_TYPE)) {
      proofs.add("the trained sample in " + String.join(", ", formats(sampleTests, "Fp8")));
    }
    List<String> further = new ArrayList<>();
    for (String name : new TreeSet<>(Golden.SHARED.keySet())) {
      if (type.equals(Golden.SHARED.get(name))) {
        further.add(code(name));
      }
    }
    if (type.equals(SAMPLE_TYPE)) {
      formats(sampleTests, "Bf16").forEach(f -> further.add("the sample in " + f));
    }
    if (!further.isEmpty()) {
      proofs.add("with `../shared` also " + String.join(", ", further));
    }
    out.append("| ").append(TITLES.get(type)).append(" (").append(code(type)).append(") | ");
    out.append(weights(goldens)).append(" | ").append(cell(new ReferenceGoldenTest(), goldens));
    out.append(" | ").append(cell(cpu, goldens)).append(" | ");
    out.append(proofs.isEmpty() ? "no golden: described, not verified" : String.join("; ", proofs));
    out.append(" |\n");
  }

  private static List<String> formats(List<String> sampleTests, String format) {
    return sampleTests.stream()
        .filter(test -> test.startsWith("logProbabilitiesOf" + format))
        .map(test -> format.toUpperCase(Locale.ROOT))
        .toList();
  }

  private static String weights(List<Golden> goldens) {
    TreeSet<String> formats = new TreeSet<>();
    for (Golden golden : goldens) {
      for (WeightRef weight : golden.model().program().weights()) {
        formats.add(weight.format().toString());
      }
    }
    return formats.isEmpty() ? "none" : String.join(", ", formats);
  }

  private static String cell(GoldenContract contract, List<Golden> goldens) {
    long verified = goldens.stream().filter(contract::verifies).count();
    if (verified == 0) {
      return "no";
    }
    return verified == goldens.size() ? "yes" : verified + " of " + goldens.size();
  }

  private void packings(List<String> tests) {
    out.append(
        "\nPacked weights, each a `deepseek_v3` whose linears an encoder of the tests packed, run on");
    out.append("\nboth backends and compared with the float model of the decoded weights:\n\n");
    for (String test : tests) {
      out.append("- ").append(words(test)).append('\n');
    }
  }

  private static List<String> tests(Class<?> contract) {
    return Arrays.stream(contract.getDeclaredMethods())
        .filter(method -> method.isAnnotationPresent(Test.class))
        .map(Method::getName)
        .sorted()
        .toList();
  }

  /** A test's name as words, without the claim that all of them make. */
  private static String words(String test) {
    StringBuilder words = new StringBuilder();
    int word = 0;
    for (char c : test.replace("AreTheirDecodedWeights", "").toCharArray()) {
      boolean isFormat = List.of("fp", "int").contains(words.substring(word));
      boolean isNumber = Character.isDigit(c) && word < words.length() && !isFormat;
      if (Character.isUpperCase(c) || (isNumber && !Character.isDigit(words.charAt(word)))) {
        words.append(' ');
        word = words.length();
      }
      words.append(Character.toLowerCase(c));
    }
    return words.toString();
  }

  private static String code(String name) {
    return "`" + name + "`";
  }

  /** Returns the goldens of ../shared with their model_type, or null where it is absent. */
  public static @Nullable Map<String, String> sharedGoldens() {
    Path folder = TestModel.above("shared/fixtures/transformers");
    if (folder == null) {
      return null;
    }
    Map<String, String> found = new TreeMap<>();
    for (Path golden : TestModel.folders(folder)) {
      found.put(golden.getFileName().toString(), TestModel.modelType(golden));
    }
    return found;
  }

  /** Returns the goldens that the matrix says are in ../shared. */
  public static Map<String, String> claimedSharedGoldens() {
    return Golden.SHARED;
  }
}
