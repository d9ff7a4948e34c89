package dev.fathom.quantization;

import dev.fathom.backend.Backend;
import dev.fathom.backend.LargePageArena;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.CheckpointReader;
import dev.fathom.checkpoint.QuantizationConfig;
import dev.fathom.checkpoint.ResumableFolder;
import dev.fathom.checkpoint.TensorData;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.checkpoint.TensorSpec;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.FathomException;
import dev.fathom.error.ModelConfigException;
import dev.fathom.error.Text;
import dev.fathom.json.Json;
import dev.fathom.json.JsonLimits;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonWriter;
import dev.fathom.program.Program;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.RowReader;
import dev.fathom.quant.WeightMatrix;
import dev.fathom.quant.WeightSearch;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes a quantized checkpoint of another one.
 *
 * <p>Weights are read, quantized and written one after the other: besides a calibration's samples
 * (and, while it runs, the model), memory holds one matrix in three forms. An interrupted run
 * leaves whole shards, no {@code config.json} and a journal; the same call goes on where it ended.
 *
 * <p>Used once, by one thread.
 */
public final class CheckpointQuantizer {

  private static final Logger log = LoggerFactory.getLogger(CheckpointQuantizer.class);
  private static final String CONFIG = "config.json";
  private static final long MAX_CONFIG_BYTES = 16L << 20;
  private static final long ALIGNMENT = 64;

  private final Checkpoint source;
  private final Path target;
  private final QuantizationRecipe recipe;
  private final CheckpointWeights catalog;
  private final PhaseClock clock;

  /**
   * Prepares a run; nothing is read or written yet.
   *
   * @param source unquantized, FP8 or with FP4 experts
   * @param target a folder that does not exist, is empty, or was left by the same run
   * @param listener hears of progress
   * @throws ModelConfigException if the source is quantized so that this would do harm
   */
  public CheckpointQuantizer(
      Checkpoint source, Path target, QuantizationRecipe recipe, QuantizationListener listener) {
    this.source = source;
    this.target = target;
    this.recipe = recipe;
    this.clock = new PhaseClock(listener);
    requireUseful();
    requireElsewhere();
    this.catalog = new CheckpointWeights(source);
  }

  private void requireUseful() {
    QuantizationConfig config = source.config().quantization();
    if (config == null) {
      return;
    }
    boolean fp8 = config.method().equals(QuantizationConfig.FP8);
    if (!fp8 || recipe.method() == QuantizationRecipe.Method.FP8) {
      throw new ModelConfigException(
          ErrorCode.QUANTIZATION_UNSUPPORTED,
          "The checkpoint " + Text.quote(source.folder().toString()) + " is not quantized again",
          "must be unquantized"
              + (fp8 ? " for FP8" : " or fp8")
              + ": quant_method="
              + Text.quote(config.method()),
          "start from the unquantized checkpoint");
    }
  }

  private void requireElsewhere() {
    try {
      if (Files.exists(target) && Files.isSameFile(target, source.folder())) {
        throw new CheckpointException(
            ErrorCode.WRITE_FOLDER_IN_USE,
            "The checkpoint " + Text.quote(target.toString()) + " is not written",
            "it is the source itself",
            "give another folder");
      }
    } catch (IOException e) {
      throw new CheckpointException(
          ErrorCode.WRITE_FAILED,
          "The checkpoint " + Text.quote(target.toString()) + " is not written",
          "the operating system reports " + Text.quote(e.toString()),
          "check the path",
          e);
    }
  }

  /**
   * Does everything.
   *
   * @param calibration gives token sequences where the recipe needs them
   * @param backends gives a backend that runs the program; closed when the calibration is over
   * @return what was done
   * @throws FathomException if a weight cannot be read or quantized, or the target not be written
   */
  public QuantizationReport run(
      Supplier<List<int[]>> calibration, Function<Program, Backend> backends) {
    long start = System.nanoTime();
    SourceModel model = new SourceModel(source, catalog);
    TargetPlan plan = new TargetPlan(source, catalog, recipe, model);
    if (plan.quantized().isEmpty()) {
      throw new ModelConfigException(
          ErrorCode.QUANTIZATION_UNSUPPORTED,
          "The checkpoint " + Text.quote(source.folder().toString()) + " is not quantized",
          "the recipe must leave at least one linear to quantize: keep=" + recipe.keep(),
          "keep fewer linears");
    }
    ResumableFolder folder = ResumableFolder.open(target, journal());
    AwqTuning tuning =
        recipe.isCalibrated() ? tune(model, plan, calibration.get(), backends) : null;
    Factors factors = tuning == null ? new Factors() : tuning.factors();
    List<List<TargetPlan.Item>> shards = plan.shards(factors);
    int resumed = write(folder, shards, factors, tuning);
    folder.finish(source.folder(), config(plan));
    clock.begin(QuantizationProgress.Phase.DONE, 0);
    QuantizationReport report =
        new QuantizationReport(
            recipe,
            ConfigSection.method(recipe, plan),
            plan.quantized().size(),
            plan.keptLinears().size(),
            source.weightBytes(),
            folder.totalBytes(),
            shards.size(),
            resumed,
            plan.notes(),
            Duration.ofNanos(System.nanoTime() - start));
    log.info(
        "checkpoint quantized: recipe=\"{}\" linears={} bytes={}",
        recipe,
        report.numQuantized(),
        report.targetBytes());
    return report;
  }

  /** What must be the same for a run to be gone on with. */
  private String journal() {
    StringBuilder files = new StringBuilder();
    source
        .files()
        .forEach(file ->
            files
                .append(' ')
                .append(file.path().getFileName())
                .append('=')
                .append(file.byteLength()));
    int texts = recipe.calibration().texts().hashCode();
    return "recipe: " + recipe + " calibration: " + texts + " source:" + files;
  }

  private AwqTuning tune(
      SourceModel model,
      TargetPlan plan,
      List<int[]> sequences,
      Function<Program, Backend> backends) {
    FoldFinder.Found found = FoldFinder.in(model.program(), plan::isQuantized);
    Set<Value> taps = new LinkedHashSet<>();
    found.folds().forEach(fold -> tap(fold.input(), taps));
    found.inputs().values().forEach(input -> tap(input, taps));
    clock.begin(QuantizationProgress.Phase.CALIBRATE, 0);
    Calibration run = new Calibration(model.program(), taps, recipe.calibration().samples(), clock);
    Map<Value, Samples> samples;
    try (Backend backend = backends.apply(model.program())) {
      samples = run.run(source, catalog, backend, sequences);
    }
    clock.begin(QuantizationProgress.Phase.SEARCH, found.folds().size());
    try (CheckpointReader reader = source.reader(bytes -> {})) {
      AwqTuning tuning = new AwqTuning(recipe, found, samples, matrices(reader));
      tuning.search(Runtime.getRuntime().availableProcessors(), clock);
      tuning.prepareWriting();
      return tuning;
    }
  }

  private static void tap(Fold.Activation input, Set<Value> taps) {
    taps.add(
        switch (input) {
          case Fold.Activation.Tapped(Value value) -> value;
          case Fold.Activation.Hidden hidden -> hidden.moe().input();
        });
  }

  /** Reads matrices into memory that is freed when nobody holds them. */
  private Function<WeightRef, WeightMatrix> matrices(CheckpointReader reader) {
    return weight -> catalog.read(weight, segments(reader), Arena.ofAuto());
  }

  private static CheckpointWeights.Segments segments(CheckpointReader reader) {
    return (tensor, owner) -> copy(reader, tensor, owner);
  }

  private static MemorySegment copy(CheckpointReader reader, TensorInfo tensor, Arena owner) {
    MemorySegment bytes = owner.allocate(Math.max(1, tensor.byteLength()), ALIGNMENT);
    MemorySegment exact = bytes.asSlice(0, tensor.byteLength());
    reader.read(tensor, exact);
    return exact;
  }

  private int write(
      ResumableFolder folder,
      List<List<TargetPlan.Item>> shards,
      Factors factors,
      @Nullable AwqTuning tuning) {
    clock.begin(QuantizationProgress.Phase.WRITE, source.weightBytes());
    int kept = 0;
    try (CheckpointReader reader = source.reader(bytes -> {})) {
      for (int i = 0; i < shards.size(); i++) {
        List<TargetPlan.Item> items = shards.get(i);
        List<TensorSpec> tensors = new ArrayList<>();
        items.forEach(item -> tensors.addAll(item.tensors()));
        try (ShardData data = new ShardData(items, reader, factors, tuning)) {
          String name = ResumableFolder.shardName(i, shards.size());
          if (!folder.write(name, tensors, data::write)) {
            kept++;
            items.forEach(item -> clock.advance(item.sourceBytes()));
          }
        }
      }
    }
    return kept;
  }

  /** The bytes of a shard's tensors, made item by item in the order of the file. */
  private final class ShardData implements AutoCloseable {

    private final List<TargetPlan.Item> items;
    private final CheckpointReader reader;
    private final Factors factors;
    private final @Nullable AwqTuning tuning;
    private @Nullable Arena arena;
    private List<MemorySegment> made = List.of();
    private int nextItem;
    private int nextTensor;

    ShardData(
        List<TargetPlan.Item> items,
        CheckpointReader reader,
        Factors factors,
        @Nullable AwqTuning tuning) {
      this.items = items;
      this.reader = reader;
      this.factors = factors;
      this.tuning = tuning;
    }

    void write(TensorSpec tensor, TensorData.Sink sink) {
      if (nextTensor == made.size()) {
        make(items.get(nextItem++));
      }
      sink.write(made.get(nextTensor++));
      if (nextTensor == made.size()) {
        clock.advance(items.get(nextItem - 1).sourceBytes());
      }
    }

    private void make(TargetPlan.Item item) {
      close();
      Arena owner = LargePageArena.open();
      arena = owner;
      nextTensor = 0;
      WeightRef weight = item.weight();
      TargetForm form = item.form();
      if (weight == null || form == null) {
        made = List.of(copy(reader, item.sources().getFirst(), owner));
        return;
      }
      try (Arena temporary = LargePageArena.open()) {
        WeightMatrix matrix = catalog.read(weight, segments(reader), temporary);
        RowReader rows = factors.apply(weight.name(), matrix.cols(), matrix::decodeRow);
        WeightSearch search = tuning == null ? WeightSearch.NONE : tuning.searchOf(weight);
        made = form.make(rows, search, owner);
      } catch (IllegalArgumentException | ArithmeticException e) {
        throw new CheckpointException(
            ErrorCode.WRITE_FAILED,
            "The weight " + Text.quote(weight.name()) + " cannot be quantized",
            String.valueOf(e.getMessage()),
            "check that the source is intact, or keep this linear",
            e);
      }
    }

    @Override
    public void close() {
      Arena owner = arena;
      arena = null;
      made = List.of();
      nextTensor = 0;
      if (owner != null) {
        owner.close();
      }
    }
  }

  private String config(TargetPlan plan) {
    byte[] bytes = Objects.requireNonNull(source.file(CONFIG, MAX_CONFIG_BYTES));
    JsonObject old = (JsonObject) Json.parse(bytes, JsonLimits.DEFAULT);
    JsonObject.Builder config = JsonObject.builder();
    old.fields()
        .forEach((key, value) -> {
          if (!key.equals("quantization_config") && !key.equals("compression_config")) {
            config.put(key, value);
          }
        });
    config.put("quantization_config", ConfigSection.of(recipe, plan));
    return JsonWriter.pretty(config.build()) + "\n";
  }
}
