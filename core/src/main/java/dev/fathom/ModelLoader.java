package dev.fathom;

import dev.fathom.backend.Backend;
import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.Executable;
import dev.fathom.backend.LargePageArena;
import dev.fathom.backend.PlacedWeight;
import dev.fathom.backend.PlacedWeights;
import dev.fathom.checkpoint.CheckpointReader;
import dev.fathom.checkpoint.GenerationDefaults;
import dev.fathom.checkpoint.MappedCheckpoint;
import dev.fathom.checkpoint.TensorInfo;
import dev.fathom.engine.BackendSelection;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.engine.Engine;
import dev.fathom.engine.EngineLimits;
import dev.fathom.engine.EngineOptions;
import dev.fathom.engine.MachineMemory;
import dev.fathom.engine.WarmUp;
import dev.fathom.error.BackendException;
import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.InsufficientMemoryException;
import dev.fathom.error.Text;
import dev.fathom.program.WeightRef;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import jdk.jfr.FlightRecorder;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Loads a model: opens, plans memory, reads and places weights, compiles, starts the engine. Closes
 * everything it opened where a phase fails.
 */
final class ModelLoader {

  private static final Logger log = LoggerFactory.getLogger(ModelLoader.class);
  private static final long ALIGNMENT = 64;

  private final Path path;
  private final LoadOptions options;
  private final LoadReporter reporter;

  private ModelLoader(Path path, LoadOptions options, @Nullable LoadListener listener) {
    this.path = path;
    this.options = options;
    this.reporter = new LoadReporter(listener);
  }

  static MemoryPlan plan(Path path, LoadOptions options) {
    OpenedModel model = OpenedModel.open(path, options);
    BackendSelection selection =
        BackendSelection.choose(options.backend(), options.requireFastBackend(), model.program());
    try (Backend backend = selection.provider().create(options.backendOptions())) {
      return new MemoryPlanner(model, backend, MachineMemory.now()).plan(options);
    }
  }

  static DeepSeekModel load(Path path, LoadOptions options, @Nullable LoadListener listener) {
    return new ModelLoader(path, options, listener).load();
  }

  private DeepSeekModel load() {
    if (!FlightRecorder.isInitialized()) {
      // Loading the class of an event would start the recorder.
      return open();
    }
    LoadEvent event = new LoadEvent();
    event.begin();
    DeepSeekModel model = open();
    Diagnostics diagnostics = model.diagnostics();
    event.modelType = diagnostics.modelType();
    event.backend = diagnostics.backend();
    event.bytes = diagnostics.memory().totalBytes();
    event.contextTokens = diagnostics.contextTokens();
    event.commit();
    return model;
  }

  private DeepSeekModel open() {
    reporter.phase(LoadPhase.OPEN);
    OpenedModel model = OpenedModel.open(path, options);
    GenerationDefaults defaults = model.checkpoint().generationDefaults();
    ModelText text = ModelText.of(model.checkpoint(), defaults, options);
    if (options.requireChat()) {
      text.requireEncoder();
    }
    Misfits.log(log, model, text);
    BackendSelection selection =
        BackendSelection.choose(options.backend(), options.requireFastBackend(), model.program());
    Backend backend = selection.provider().create(options.backendOptions());
    try {
      return load(model, text, SamplingDefaults.of(defaults), selection, backend);
    } catch (RuntimeException | Error e) {
      backend.close();
      throw e;
    }
  }

  private DeepSeekModel load(
      OpenedModel model,
      ModelText text,
      SamplingDefaults defaults,
      BackendSelection selection,
      Backend backend) {
    EngineOptions capacities = model.capacities(options, backend);
    AdapterPlan adapters = AdapterPlan.of(model.program(), options);
    MemoryPlan plan =
        new MemoryPlanner(model, backend, MachineMemory.now()).plan(options, adapters);
    if (!plan.fits()) {
      throw insufficient(plan);
    }
    Arena arena = LargePageArena.open();
    try {
      PlacedWeights weights = place(model, backend, arena);
      reporter.phase(LoadPhase.COMPILE);
      CompileOptions compile = model.compileOptions(capacities, options, backend);
      Diagnostics diagnostics =
          diagnostics(model, text, defaults, selection, backend, plan, capacities);
      RequestReader reader =
          new RequestReader(
              text,
              defaults,
              capacities.contextTokens(),
              model.maxContextTokens(),
              capacities.vocabSize(),
              options.speculation());
      Executable executable = backend.compile(model.programs().programs(), weights, compile);
      requireSlots(executable, adapters, backend);
      Function<Engine, DeepSeekModel> around =
          engine ->
              new DeepSeekModel(
                  engine,
                  backend,
                  arena,
                  text,
                  reader,
                  diagnostics,
                  new ModelAdapters(engine.adapters(), adapters.linears()),
                  new Embedder(engine, reader, model.hiddenOutput()));
      warmUp(executable, compile, capacities, text, around);
      EngineLimits limits =
          limits().adapters(adapters.limits()).spill(KvFingerprint.spill(model, options, backend));
      Engine engine = new Engine(capacities, limits, executable, text.tokenizer());
      log.info("model loaded: {}", logLine(diagnostics));
      return ready(around.apply(engine), adapters);
    } catch (RuntimeException | Error e) {
      if (arena.scope().isAlive()) {
        arena.close();
      }
      throw e;
    }
  }

  private EngineLimits limits() {
    return EngineLimits.DEFAULT.maxQueuedTokens(options.maxQueuedTokens());
  }

  private void warmUp(
      Executable executable,
      CompileOptions compile,
      EngineOptions capacities,
      ModelText text,
      Function<Engine, DeepSeekModel> around) {
    if (options.warmUp().isZero()) {
      return;
    }
    long deadline = System.nanoTime() + TimeUnit.NANOSECONDS.convert(options.warmUp());
    try {
      // Steps cost most, but not all of the time, so that requests get theirs.
      Duration most = options.warmUp().multipliedBy(3).dividedBy(4);
      int steps = WarmUp.run(executable, compile, capacities.vocabSize(), most);
      log.debug("warmed up: steps={}", steps);
      Rehearsal.run(executable, capacities, text, around, deadline);
    } catch (RuntimeException | Error e) {
      executable.close();
      throw e;
    }
  }

  private static void requireSlots(Executable executable, AdapterPlan adapters, Backend backend) {
    int wanted = adapters.limits().slots();
    if (wanted > executable.numAdapterSlots()) {
      executable.close();
      throw new BackendException(
          ErrorCode.BACKEND_UNSUPPORTED,
          "The backend " + backend.name() + " does not hold so many adapters",
          "must be <= " + executable.numAdapterSlots() + ": maxAdapters=" + wanted,
          "set maxAdapters to at most " + executable.numAdapterSlots());
    }
  }

  private DeepSeekModel ready(DeepSeekModel model, AdapterPlan adapters) {
    try {
      adapters.named().forEach(model::loadAdapter);
      reporter.phase(LoadPhase.READY);
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  private static InsufficientMemoryException insufficient(MemoryPlan plan) {
    List<String> remedies = plan.remedies().stream().map(Remedy::toString).toList();
    return new InsufficientMemoryException(
        ErrorCode.MEMORY_INSUFFICIENT,
        "This model needs " + Bytes.of(plan.totalBytes()) + ", " + plan.available(),
        plan.breakdown(),
        String.join(" | ", remedies));
  }

  private PlacedWeights place(OpenedModel model, Backend backend, Arena arena) {
    List<WeightRef> order = model.catalog().inFileOrder(model.programs().weights());
    reporter.total(order.stream().mapToLong(model.catalog()::storedBytes).sum());
    reporter.phase(LoadPhase.READ);
    if (options.verifyChecksums() && !model.checkpoint().hasChecksums()) {
      throw new CheckpointException(
          ErrorCode.CHECKSUMS_INVALID,
          "The checkpoint " + Text.quote(path.toString()) + " cannot be verified",
          "it has no checksums.sha256 that lists its safetensors files",
          "put one there, or leave verifyChecksums out");
    }
    try (CheckpointReader reader = model.checkpoint().reader(reporter::read)) {
      CheckpointWeights.Segments segments = segments(model, reader, arena);
      Map<String, PlacedWeight> placed = new HashMap<>();
      for (WeightRef weight : order) {
        placed.put(weight.name(), place(model.catalog(), backend, weight, segments, arena));
      }
      if (options.verifyChecksums() || !model.checkpoint().hasChecksums()) {
        reader.verify();
      }
      return new PlacedWeights(placed);
    }
  }

  private CheckpointWeights.Segments segments(
      OpenedModel model, CheckpointReader reader, Arena arena) {
    if (options.mapWeights()) {
      MappedCheckpoint mapped = new MappedCheckpoint(model.checkpoint().files(), arena);
      return (tensor, owner) -> {
        reporter.read(tensor.byteLength());
        return mapped.segment(tensor);
      };
    }
    return (tensor, owner) -> copy(reader, tensor, owner);
  }

  private static MemorySegment copy(CheckpointReader reader, TensorInfo tensor, Arena owner) {
    MemorySegment target = owner.allocate(tensor.byteLength(), ALIGNMENT);
    reader.read(tensor, target);
    return target;
  }

  /** What the backend goes on reading stays in the model's arena; the rest is freed at once. */
  private static PlacedWeight place(
      CheckpointWeights catalog,
      Backend backend,
      WeightRef weight,
      CheckpointWeights.Segments segments,
      Arena arena) {
    if (backend.keepsSource(weight)) {
      return backend.place(weight, catalog.read(weight, segments, arena));
    }
    try (Arena temporary = LargePageArena.open()) {
      return backend.place(weight, catalog.read(weight, segments, temporary));
    }
  }

  private static Diagnostics diagnostics(
      OpenedModel model,
      ModelText text,
      SamplingDefaults defaults,
      BackendSelection selection,
      Backend backend,
      MemoryPlan plan,
      EngineOptions capacities) {
    return new Diagnostics(
        backend.name(),
        selection.reason(),
        backend.description(),
        plan,
        model.program().toString(),
        defaults.toString(),
        text.format(),
        model.architecture().modelType(),
        capacities.contextTokens(),
        capacities.maxRows());
  }

  private static String logLine(Diagnostics d) {
    return "type="
        + d.modelType()
        + " backend="
        + d.backend()
        + " bytes="
        + d.memory().totalBytes()
        + " contextTokens="
        + d.contextTokens()
        + " sampling=\""
        + d.samplingDefaults()
        + "\""
        + " promptFormat="
        + d.promptFormat();
  }
}
