import com.github.tjake.jlama.model.AbstractModel;
import com.github.tjake.jlama.model.ModelSupport;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.tensor.AbstractTensor;
import com.github.tjake.jlama.tensor.KvBufferCache;
import com.github.tjake.jlama.tensor.operations.TensorOperationsProvider;
import com.github.tjake.jlama.util.PhysicalCoreExecutor;
import java.io.File;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;

/**
 * Measures Jlama as `fathom bench` measures Fathom: a prompt of random tokens, then greedy tokens
 * one by one; runs after one that does not count.
 *
 * <p>Prints a row of a table. Arguments: model folder, bf16 or q4 (the form of the folder's weights),
 * tokens of the prompt, tokens generated, runs, threads.
 */
public final class JlamaBench {

  private final AbstractModel model;
  private final int[] prompt;
  private final int generated;
  private double promptSeconds;
  private double generateSeconds;

  private JlamaBench(AbstractModel model, int promptTokens, int generated) {
    this.model = model;
    this.prompt = new Random(0).ints(promptTokens, 10, 50_000).toArray();
    this.generated = generated;
  }

  public static void main(String[] args) {
    int promptTokens = Integer.parseInt(args[2]);
    int generated = Integer.parseInt(args[3]);
    int runs = Integer.parseInt(args[4]);
    PhysicalCoreExecutor.overrideThreadCount(Integer.parseInt(args[5]));
    boolean quantized = args[1].equals("q4");
    AbstractModel model =
        ModelSupport.loadModel(
            new File(args[0]),
            null,
            DType.F32,
            quantized ? DType.I8 : DType.BF16,
            Optional.empty(),
            Optional.empty());
    JlamaBench bench = new JlamaBench(model, promptTokens, generated);
    double[] promptSpeed = new double[runs];
    double[] generateSpeed = new double[runs];
    for (int run = -1; run < runs; run++) {
      bench.run();
      if (run >= 0) {
        promptSpeed[run] = promptTokens / bench.promptSeconds;
        generateSpeed[run] = (generated - 1) / bench.generateSeconds;
      }
    }
    String operations = TensorOperationsProvider.get().getClass().getSimpleName();
    System.out.printf(
        Locale.ROOT,
        "| Jlama 0.8.4 (%s, JDK %s) | %s | %s | %s |%n",
        operations,
        Runtime.version(),
        args[1],
        summary(promptSpeed),
        summary(generateSpeed));
    System.exit(0);
  }

  private void run() {
    try (KvBufferCache cache = new KvBufferCache(model);
        KvBufferCache.KvBuffer kv = cache.getEphemeralKvBuffer()) {
      AbstractTensor logits = model.makeDenseTensor(model.getConfig().vocabularySize);
      long begin = System.nanoTime();
      AbstractTensor last = model.batchForward(prompt, 0, kv);
      int row = last.shape().first() - 1;
      int token = model.sample(last.slice(row), 0, 0.5f, logits);
      long prompted = System.nanoTime();
      last.close();
      for (int i = 1; i < generated; i++) {
        AbstractTensor output = model.forward(token, prompt.length + i - 1, kv, Optional.empty());
        token = model.sample(output, 0, 0.5f, logits);
        output.close();
      }
      long end = System.nanoTime();
      promptSeconds = (prompted - begin) / 1e9;
      generateSeconds = (end - prompted) / 1e9;
    } catch (Exception e) {
      throw new IllegalStateException("the run failed", e);
    }
  }

  private static String summary(double[] speeds) {
    double mean = 0;
    for (double speed : speeds) {
      mean += speed / speeds.length;
    }
    double squares = 0;
    for (double speed : speeds) {
      squares += (speed - mean) * (speed - mean);
    }
    double deviation = Math.sqrt(squares / Math.max(1, speeds.length - 1));
    return String.format(Locale.ROOT, "%.1f ± %.1f", mean, deviation);
  }
}
