package dev.fathom.cpu;

import dev.fathom.backend.Adapter;
import dev.fathom.backend.ExpertLoads;
import dev.fathom.cpu.kernel.Matrix;
import dev.fathom.cpu.kernel.Order;
import dev.fathom.cpu.kernel.Sum;
import dev.fathom.cpu.kernel.SwiGlu;
import dev.fathom.cpu.kernel.Vectors;
import dev.fathom.moe.ExpertPlan;
import dev.fathom.program.Expert;
import dev.fathom.program.Op;
import dev.fathom.program.WeightRef;
import java.util.Arrays;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * The chosen experts, expert by expert, so that each weight is streamed once a step.
 *
 * <p>First gate and up: the threads share out all rows of all active experts. Then down in the same
 * way, as long as its results fit, since an expert's rows are one run of memory then; they are
 * added up at the end. For more tokens each thread has a range of output columns. Either way the
 * experts are added in rising order of their ids.
 */
final class MoeOperation implements Operation {

  /** The three matrices of an expert. */
  record ExpertMatrices(Matrix gate, Matrix up, Matrix down) {}

  private final Op.Moe op;
  private final ExpertMatrices[] experts;
  private final Adapters adapters;
  private final Adapters.Site[] gateSites;
  private final Adapters.Site[] upSites;
  private final Adapters.Site[] downSites;
  private final Step step;
  private final Scratch scratch;
  private final ExpertLoads.Layer load;
  private final float[] in;
  private final float[] out;
  private final int hidden;
  private final int intermediate;
  private final int downLen;
  private final ExpertInputs inputs;
  private final Vectors[] gateInputs;
  private final Vectors[] upInputs;
  private final Vectors downInputs;
  private int mostTokens;
  private final ThreadTeam.RangeWork gateAndUp = this::gateAndUp;
  private final ThreadTeam.RangeWork down = this::down;
  private final ThreadTeam.RangeWork downApart = this::downApart;
  private final ThreadTeam.RangeWork addUp = this::addUp;
  private final ThreadTeam.Work adaptGateAndUp = this::adaptGateAndUp;
  private final ThreadTeam.Work adaptDown = this::adaptDown;
  private final ThreadTeam.Work arrange = this::arrange;

  /** Memory that all mixtures of a program share. */
  static final class Scratch {
    private final ExpertPlan plan = new ExpertPlan();
    private final int[] tokenOf;
    private final float[] weightOf;
    private final float[] gate;
    private final float[] up;

    // Products of down: [token of an expert][hidden], of one expert or of all.
    private final float[] result;

    Scratch(Sizes sizes) {
      tokenOf = new int[sizes.expertRows()];
      weightOf = new float[sizes.expertRows()];
      gate = new float[sizes.intermediate()];
      up = new float[sizes.downInputs()];
      result = new float[sizes.down()];
    }
  }

  MoeOperation(Op.Moe op, ExpertMatrices[] experts, Step step, Adapters adapters, Scratch scratch) {
    this.op = op;
    this.experts = experts;
    this.adapters = adapters;
    this.gateSites = sites(Expert::gate);
    this.upSites = sites(Expert::up);
    this.downSites = sites(Expert::down);
    this.step = step;
    this.scratch = scratch;
    this.load = step.expertLoads().layer(op);
    this.in = step.data(op.input());
    this.out = step.data(op.result());
    this.hidden = experts[0].gate().cols();
    this.intermediate = experts[0].gate().rows();
    this.inputs = new ExpertInputs(step, in, hidden, experts);
    this.gateInputs = inputs(ExpertMatrices::gate);
    this.upInputs = inputs(ExpertMatrices::up);
    // The activations lie in gate; their copies in the orders of the downs overwrite up.
    this.downLen =
        Stream.of(experts).mapToInt(e -> e.down().order().len(intermediate)).max().orElseThrow();
    this.downInputs = new Vectors(scratch.up, downLen, step.identity());
  }

  private Vectors[] inputs(Function<ExpertMatrices, Matrix> matrix) {
    return Stream.of(experts)
        .map(expert -> inputs.of(matrix.apply(expert), scratch.tokenOf))
        .toArray(Vectors[]::new);
  }

  private Adapters.Site[] sites(Function<Expert, WeightRef> matrix) {
    return op.experts().stream()
        .map(expert -> adapters.site(matrix.apply(expert)))
        .toArray(Adapters.Site[]::new);
  }

  @Override
  public void run() {
    plan();
    long rows = scratch.plan.numAssignments();
    inputs.arrange(scratch.plan);
    if (step.roundsFor(mostTokens)) {
      step.round(in, hidden, scratch.tokenOf, scratch.plan.numAssignments());
    }
    int grain = step.grain(mostTokens);
    int grains = Math.ceilDiv(intermediate, grain) * scratch.plan.numActiveExperts();
    step.dispatch(2 * rows * intermediate * hidden, grains, 1, gateAndUp);
    if (adapters.areActive()) {
      step.dispatch(2 * rows * (intermediate + hidden), adaptGateAndUp);
    }
    step.dispatch(rows * intermediate, arrange);
    if (step.roundsFor(mostTokens)) {
      step.round(scratch.gate, intermediate, step.identity(), scratch.plan.numAssignments());
    }
    if (rows * hidden <= scratch.result.length) {
      int ofDown = Math.ceilDiv(hidden, grain) * scratch.plan.numActiveExperts();
      step.dispatch(rows * intermediate * hidden, ofDown, 1, downApart);
      step.dispatch(rows * hidden, hidden, grain, addUp);
    } else {
      step.dispatch(rows * intermediate * hidden, hidden, grain, down);
    }
    if (adapters.areActive()) {
      step.dispatch(rows * (intermediate + hidden), adaptDown);
    }
  }

  private void plan() {
    int topK = op.routing().shape().last();
    float[] weights = step.data(op.routing());
    ExpertPlan plan = scratch.plan;
    plan.build(step.numTokens(), topK, step.ints(op.routing()), experts.length);
    load.add(plan);
    mostTokens = 0;
    for (int j = 0; j < plan.numActiveExperts(); j++) {
      mostTokens = Math.max(mostTokens, plan.count(plan.activeExpert(j)));
    }
    for (int i = 0; i < plan.numAssignments(); i++) {
      scratch.tokenOf[i] = plan.tokenOf(i);
      scratch.weightOf[i] = weights[plan.assignmentOf(i)];
    }
  }

  /** Computes grains of rows, those of the first active expert first. */
  private void gateAndUp(int begin, int end, int part) {
    int grain = step.grain(mostTokens);
    int grains = Math.ceilDiv(intermediate, grain);
    for (int at = begin; at < end; ) {
      int from = at % grains;
      int to = Math.min(grains, from + end - at);
      int expert = scratch.plan.activeExpert(at / grains);
      gateAndUpOf(expert, from * grain, Math.min(intermediate, to * grain), part);
      at += to - from;
    }
  }

  private void gateAndUpOf(int expert, int from, int to, int part) {
    float[] lanes = step.lanes(part);
    int first = scratch.plan.offset(expert);
    int n = scratch.plan.count(expert);
    int off = first * intermediate;
    ExpertMatrices e = experts[expert];
    if (step.roundsFor(n)) {
      step.multiplyRounded(e.gate(), from, to, first, n, scratch.gate, off, intermediate, part);
      step.multiplyRounded(e.up(), from, to, first, n, scratch.up, off, intermediate, part);
    } else {
      Vectors gateIn = gateInputs[expert];
      Vectors upIn = upInputs[expert];
      e.gate().multiply(from, to, gateIn, first, n, scratch.gate, off, intermediate, lanes);
      e.up().multiply(from, to, upIn, first, n, scratch.up, off, intermediate, lanes);
    }
    if (adapters.areActive()) {
      return; // adaptGateAndUp goes on
    }
    for (int i = 0; i < n; i++) {
      int row = off + i * intermediate + from;
      SwiGlu.run(scratch.gate, scratch.up, op.limit(), scratch.gate, row, to - from, lanes);
    }
  }

  /** Adds what adapters give to gate and up, and activates. */
  private void adaptGateAndUp(int part, int numParts) {
    int rows = scratch.plan.numAssignments();
    int[] ids = step.ints(op.routing());
    for (int i = Step.begin(rows, part, numParts); i < Step.begin(rows, part + 1, numParts); i++) {
      int expert = ids[scratch.plan.assignmentOf(i)];
      int row = i * intermediate;
      add(gateSites[expert], i, scratch.gate, row, part);
      add(upSites[expert], i, scratch.up, row, part);
      SwiGlu.run(
          scratch.gate, scratch.up, op.limit(), scratch.gate, row, intermediate, step.lanes(part));
    }
  }

  private void add(Adapters.Site site, int i, float[] target, int off, int part) {
    int t = scratch.tokenOf[i];
    Adapter.Delta delta = site.of(step.batch(), step.batch().sequenceOf(t));
    if (delta != null) {
      adapters.add(delta, delta.scale(), in, t * hidden, target, off, part);
    }
  }

  /** Adds what adapters give to down: each thread has a range of tokens. */
  private void adaptDown(int part, int numParts) {
    int from = Step.begin(step.numTokens(), part, numParts);
    int to = Step.begin(step.numTokens(), part + 1, numParts);
    int[] ids = step.ints(op.routing());
    for (int i = 0; i < scratch.plan.numAssignments(); i++) {
      int t = scratch.tokenOf[i];
      if (t < from || t >= to) {
        continue;
      }
      Adapters.Site site = downSites[ids[scratch.plan.assignmentOf(i)]];
      Adapter.Delta delta = site.of(step.batch(), step.batch().sequenceOf(t));
      if (delta != null) {
        float scale = delta.scale() * scratch.weightOf[i];
        adapters.add(delta, scale, scratch.gate, i * intermediate, out, t * hidden, part);
      }
    }
  }

  private void arrange(int part, int numParts) {
    int rows = scratch.plan.numAssignments();
    int[] ids = step.ints(op.routing());
    for (int i = Step.begin(rows, part, numParts); i < Step.begin(rows, part + 1, numParts); i++) {
      Order order = experts[ids[scratch.plan.assignmentOf(i)]].down().order();
      order.arrange(scratch.gate, i * intermediate, scratch.up, i * downLen, intermediate);
    }
  }

  /** Computes grains of rows of down as {@link #gateAndUp} does, and keeps the products. */
  private void downApart(int begin, int end, int part) {
    int grain = step.grain(mostTokens);
    int grains = Math.ceilDiv(hidden, grain);
    for (int at = begin; at < end; ) {
      int from = at % grains;
      int to = Math.min(grains, from + end - at);
      int expert = scratch.plan.activeExpert(at / grains);
      int target = scratch.plan.offset(expert) * hidden;
      downOf(expert, from * grain, Math.min(hidden, to * grain), target, part);
      at += to - from;
    }
  }

  /** Writes rows of down of the tokens of an expert to the results from {@code target} on. */
  private void downOf(int expert, int from, int to, int target, int part) {
    int first = scratch.plan.offset(expert);
    int n = scratch.plan.count(expert);
    Matrix matrix = experts[expert].down();
    float[] result = scratch.result;
    if (step.roundsFor(n)) {
      step.multiplyRounded(matrix, from, to, first, n, result, target, hidden, part);
    } else {
      float[] lanes = step.lanes(part);
      matrix.multiply(from, to, downInputs, first, n, result, target, hidden, lanes);
    }
  }

  /** Adds columns of the products that {@link #downApart} kept. */
  private void addUp(int from, int to, int part) {
    clear(from, to);
    for (int j = 0; j < scratch.plan.numActiveExperts(); j++) {
      int expert = scratch.plan.activeExpert(j);
      add(expert, scratch.plan.offset(expert) * hidden, from, to);
    }
  }

  /** Computes and adds columns of all experts one after the other. */
  private void down(int from, int to, int part) {
    clear(from, to);
    for (int j = 0; j < scratch.plan.numActiveExperts(); j++) {
      int expert = scratch.plan.activeExpert(j);
      downOf(expert, from, to, 0, part);
      add(expert, 0, from, to);
    }
  }

  private void clear(int from, int to) {
    for (int t = 0; t < step.numTokens(); t++) {
      Arrays.fill(out, t * hidden + from, t * hidden + to, 0f);
    }
  }

  /** Adds columns of an expert's products, which begin at {@code at}, to its tokens. */
  private void add(int expert, int at, int from, int to) {
    int first = scratch.plan.offset(expert);
    for (int i = 0; i < scratch.plan.count(expert); i++) {
      int target = scratch.tokenOf[first + i] * hidden + from;
      float weight = scratch.weightOf[first + i];
      Sum.addScaled(weight, scratch.result, at + i * hidden + from, out, target, to - from);
    }
  }
}
