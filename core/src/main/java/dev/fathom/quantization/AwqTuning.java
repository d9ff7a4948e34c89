package dev.fathom.quantization;

import dev.fathom.program.Expert;
import dev.fathom.program.Op;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.AwqScales;
import dev.fathom.quant.AwqSearch;
import dev.fathom.quant.ClipSearch;
import dev.fathom.quant.ErrorLoss;
import dev.fathom.quant.GroupSize;
import dev.fathom.quant.Int4Recipe;
import dev.fathom.quant.RoundingSearch;
import dev.fathom.quant.WeightFormat;
import dev.fathom.quant.WeightMatrix;
import dev.fathom.quant.WeightSearch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Activation-aware scaling of a whole program: searches the factors of each {@link Fold} on the
 * samples of a calibration, and gives the loss that a clipping search then makes small.
 *
 * <p>Experts are judged by the tokens that are sent to them. Channels that come from one row (heads
 * that share a value) get one factor. Where a matrix that stays unquantized takes part, factors are
 * rounded to powers of two, which its float type multiplies without loss; a router is written in
 * float32 instead.
 *
 * <p>Folds are independent and searched on several threads; the result does not depend on how many.
 */
final class AwqTuning {

  private final QuantizationRecipe recipe;
  private final FoldFinder.Found found;
  private final Map<Value, Samples> samples;
  private final Function<WeightRef, WeightMatrix> matrices;
  private final Factors factors = new Factors();
  private final Map<Op.Moe, ExpertSamples> experts = new ConcurrentHashMap<>();
  private @Nullable Search lastSearch;
  private final Map<String, float[]> hidden = new ConcurrentHashMap<>();

  /**
   * Prepares the search.
   *
   * @param samples of every tapped value
   * @param matrices reads a weight of the source; safe for several threads
   */
  AwqTuning(
      QuantizationRecipe recipe,
      FoldFinder.Found found,
      Map<Value, Samples> samples,
      Function<WeightRef, WeightMatrix> matrices) {
    this.recipe = recipe;
    this.found = found;
    this.samples = samples;
    this.matrices = matrices;
  }

  /** The factors found. */
  Factors factors() {
    return factors;
  }

  /** Searches all folds. */
  void search(int threads, PhaseClock clock) {
    try (ExecutorService pool =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().daemon().name("fathom-quantize-", 0).factory())) {
      List<Future<?>> running = new ArrayList<>();
      found.folds().forEach(fold -> running.add(pool.submit(() -> search(fold))));
      try {
        for (Future<?> future : running) {
          future.get();
          clock.advance(1);
        }
      } catch (ExecutionException e) {
        pool.shutdownNow();
        throw e.getCause() instanceof RuntimeException failed
            ? failed
            : new IllegalStateException(e.getCause());
      } catch (InterruptedException e) {
        pool.shutdownNow();
        Thread.currentThread().interrupt();
        throw new IllegalStateException("interrupted while searching scales", e);
      } catch (RuntimeException | Error e) {
        pool.shutdownNow();
        throw e;
      }
    }
  }

  private void search(Fold fold) {
    int cols = fold.readers().getFirst().cols();
    float[] rows = rowsOf(fold.input());
    if (rows.length == 0) {
      return;
    }
    float[] magnitude = tied(magnitudeOf(fold.input(), rows, cols), fold.producer().rows());
    Map<Integer, ErrorLoss> losses = new HashMap<>();
    List<AwqSearch.Linear> linears = new ArrayList<>();
    for (WeightRef reader : fold.readers()) {
      WeightMatrix matrix = matrices.apply(reader);
      linears.add(new AwqSearch.Linear(matrix::decodeRow, matrix.rows(), ownLoss(reader, losses)));
    }
    int group = GroupSize.fit(recipe.groupSize(), cols);
    Int4Recipe integers = new Int4Recipe(group, recipe.zeroPoints(), WeightFormat.F32);
    AwqScales scales = AwqSearch.search(linears, magnitude, rows, integers);
    if (scales.exponent() > 0) {
      float[] columns = scales.factors();
      apply(fold, fold.powersOfTwo() ? powersOfTwo(columns) : columns, factors);
    }
  }

  /** The loss of an expert's gate or up projection; null where all samples count. */
  private @Nullable ErrorLoss ownLoss(WeightRef reader, Map<Integer, ErrorLoss> known) {
    Fold.Activation.Hidden expert = found.experts().get(reader.name());
    if (expert == null) {
      return null;
    }
    return known.computeIfAbsent(
        expert.expert(), e -> ErrorLoss.outputs(experts(expert).inputsOf(e), reader.cols()));
  }

  /** Multiplies the readers' columns and divides the producer. */
  static void apply(Fold fold, float[] columns, Factors factors) {
    fold.readers().forEach(reader -> factors.putColumns(reader.name(), columns));
    fold.compensated().forEach(other -> factors.putColumns(other.name(), columns));
    Fold.Producer producer = fold.producer();
    int[] rows = producer.rows();
    float[] inverse = new float[rows == null ? columns.length : producer.weight().rows()];
    Arrays.fill(inverse, 1);
    for (int c = 0; c < columns.length; c++) {
      inverse[rows == null ? c : rows[c]] = 1 / columns[c];
    }
    if (rows == null) {
      factors.putColumns(producer.weight().name(), inverse);
      return;
    }
    factors.putRows(producer.weight().name(), inverse);
    WeightRef bias = producer.bias();
    if (bias != null) {
      factors.putColumns(bias.name(), inverse);
    }
  }

  private static float[] powersOfTwo(float[] factors) {
    float[] rounded = new float[factors.length];
    for (int c = 0; c < factors.length; c++) {
      rounded[c] = (float) Math.scalb(1.0, (int) Math.rint(Math.log(factors[c]) / Math.log(2)));
    }
    return rounded;
  }

  /** Channels of one row share a mean, and so a factor. */
  private static float[] tied(float[] magnitude, int @Nullable [] rows) {
    if (rows == null) {
      return magnitude;
    }
    Map<Integer, double[]> sums = new HashMap<>();
    for (int c = 0; c < rows.length; c++) {
      double[] sum = sums.computeIfAbsent(rows[c], r -> new double[2]);
      sum[0] += magnitude[c];
      sum[1]++;
    }
    float[] means = new float[magnitude.length];
    for (int c = 0; c < rows.length; c++) {
      double[] sum = sums.getOrDefault(rows[c], new double[] {0, 1});
      means[c] = (float) (sum[0] / sum[1]);
    }
    return means;
  }

  private float[] magnitudeOf(Fold.Activation input, float[] rows, int cols) {
    return input instanceof Fold.Activation.Tapped(Value value)
        ? samplesOf(value).meanMagnitude()
        : AwqSearch.meanMagnitude(rows, cols);
  }

  private Samples samplesOf(Value value) {
    Samples found = samples.get(value);
    if (found == null) {
      throw new IllegalStateException("must have been sampled: value=" + value);
    }
    return found;
  }

  private float[] rowsOf(Fold.Activation input) {
    return switch (input) {
      case Fold.Activation.Tapped(Value value) -> samplesOf(value).rows();
      case Fold.Activation.Hidden inside -> hidden(inside);
    };
  }

  private ExpertSamples experts(Fold.Activation.Hidden inside) {
    return experts.computeIfAbsent(
        inside.moe(),
        moe -> {
          Samples input = samplesOf(moe.input());
          return new ExpertSamples(input.rows(), input.width(), inside.route(), matrices);
        });
  }

  private float[] hidden(Fold.Activation.Hidden inside) {
    Expert expert = inside.moe().experts().get(inside.expert());
    return hidden.computeIfAbsent(
        expert.down().name(),
        name ->
            ExpertSamples.hidden(
                experts(inside).inputsOf(inside.expert()),
                expert.gate().cols(),
                matrices.apply(expert.gate()),
                matrices.apply(expert.up())));
  }

  /** Computes what experts hide while weights can still be read. */
  void prepareWriting() {
    if (recipe.searchesClipping()) {
      found.inputs().values().forEach(this::rowsOf);
    }
  }

  /**
   * The searches of a weight, on its samples as the scaled weight meets them; none where the weight
   * was not seen or the recipe does not want it.
   */
  WeightSearch searchOf(WeightRef weight) {
    Fold.Activation input = found.inputs().get(weight.name());
    if (!recipe.searchesClipping() || input == null) {
      return WeightSearch.NONE;
    }
    Fold.Activation.Hidden expert = found.experts().get(weight.name());
    Fold.Activation seen = expert == null ? input : expert;
    float[] columns = factors.columns(weight.name());
    Search known = lastSearch;
    if (known == null || !known.seen.equals(seen) || !Arrays.equals(known.columns, columns)) {
      float[] rows = expert == null ? rowsOf(input) : experts(expert).inputsOf(expert.expert());
      known = new Search(seen, columns, searchOn(rows, columns, weight.cols()));
      lastSearch = known;
    }
    return known.search;
  }

  private WeightSearch searchOn(float[] rows, float @Nullable [] columns, int cols) {
    if (rows.length == 0) {
      return WeightSearch.NONE;
    }
    float[] met = rows;
    if (columns != null) {
      met = rows.clone();
      for (int i = 0; i < met.length; i++) {
        met[i] /= columns[i % columns.length];
      }
    }
    if (!recipe.searchesRounding()) {
      return new WeightSearch(ClipSearch.of(ErrorLoss.outputs(met, cols)), null);
    }
    RoundingSearch rounding = new RoundingSearch(met, cols);
    return new WeightSearch(ClipSearch.of(rounding.loss()), rounding);
  }

  /** The searches of the weights written last: neighbours often read the same input. */
  private static final class Search {
    private final Fold.Activation seen;
    private final float @Nullable [] columns;
    private final WeightSearch search;

    Search(Fold.Activation seen, float @Nullable [] columns, WeightSearch search) {
      this.seen = seen;
      this.columns = columns;
      this.search = search;
    }
  }
}
