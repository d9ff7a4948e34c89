package dev.fathom.backend;

import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import dev.fathom.program.Expert;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.ProgramBuilder;
import dev.fathom.program.Value;
import dev.fathom.program.WeightRef;
import dev.fathom.quant.WeightFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;

/** The plan against a naive simulation: whoever reads a slot finds what was written for it. */
class ScratchPlanTest {

  @RepeatedTest(60)
  void inRandomProgramsEveryReaderFindsItsOperand(RepetitionInfo info) {
    Program program = random(info.getCurrentRepetition());
    Set<String> wanted = info.getCurrentRepetition() % 2 == 0 ? Set.of() : Set.of("out.0", "out.2");
    ScratchPlan plan = new ScratchPlan(program, wanted);
    int[] owner = new int[plan.slots().size()];
    Arrays.fill(owner, -1);
    int[] root = roots(program);
    program.inputs().values().forEach(v -> owner[plan.slotOf(v)] = v.id());
    for (Op op : program.ops()) {
      for (Value operand : op.operands()) {
        assertThat(owner[plan.slotOf(operand)]).as(op.kind()).isEqualTo(root[operand.id()]);
      }
      Value result = op.result();
      if (result != null && root[result.id()] == result.id()) {
        for (Value operand : op.operands()) {
          assertThat(plan.slotOf(result)).as(op.kind()).isNotEqualTo(plan.slotOf(operand));
        }
        owner[plan.slotOf(result)] = result.id();
        checkSlot(plan, result);
      }
    }
    program.inputs().values().forEach(v -> assertThat(owner[plan.slotOf(v)]).isEqualTo(v.id()));
    for (Map.Entry<String, Value> output : program.outputs().entrySet()) {
      if (wanted.contains(output.getKey()) || output.getKey().equals(Program.LOGITS)) {
        Value value = output.getValue();
        assertThat(owner[plan.slotOf(value)]).isEqualTo(root[value.id()]);
      }
    }
    assertThat(sizes(plan)).isEqualTo(liveAtOnce(program, wanted));
  }

  private static void checkSlot(ScratchPlan plan, Value value) {
    ScratchPlan.Slot slot = plan.slots().get(plan.slotOf(value));
    assertThat(slot.type()).isEqualTo(value.type());
    assertThat(slot.lead()).isEqualTo(value.shape().lead());
    assertThat(slot.width()).isEqualTo(value.shape().width());
  }

  private static int[] roots(Program program) {
    int[] root = new int[program.values().size()];
    Arrays.setAll(root, i -> i);
    for (Op op : program.ops()) {
      if (op instanceof Op.Reshape reshape) {
        root[reshape.result().id()] = root[reshape.input().id()];
      }
    }
    return root;
  }

  private static Map<ScratchPlan.Slot, Integer> sizes(ScratchPlan plan) {
    Map<ScratchPlan.Slot, Integer> count = new HashMap<>();
    plan.slots().forEach(slot -> count.merge(slot, 1, Integer::sum));
    return count;
  }

  /** For each kind of slot the most values that are alive in one operation: the fewest slots. */
  private static Map<ScratchPlan.Slot, Integer> liveAtOnce(Program program, Set<String> wanted) {
    int[] root = roots(program);
    Map<ScratchPlan.Slot, Integer> most = new HashMap<>();
    for (int i = 0; i <= program.ops().size(); i++) {
      Map<ScratchPlan.Slot, Integer> now = new HashMap<>();
      for (int id : live(program, wanted, root, i)) {
        Value v = program.values().get(id);
        now.merge(
            new ScratchPlan.Slot(v.type(), v.shape().lead(), v.shape().width()), 1, Integer::sum);
      }
      now.forEach((slot, count) -> most.merge(slot, count, Math::max));
    }
    return most;
  }

  /** Values that hold something during operation i: written by then, and read then or later. */
  private static Set<Integer> live(Program program, Set<String> wanted, int[] root, int i) {
    Set<Integer> written = new HashSet<>();
    Set<Integer> needed = new HashSet<>();
    program.inputs().values().forEach(v -> written.add(v.id()));
    needed.addAll(written);
    program
        .outputs()
        .forEach((name, v) -> {
          if (wanted.contains(name) || name.equals(Program.LOGITS)) {
            needed.add(root[v.id()]);
          }
        });
    for (int j = 0; j < program.ops().size(); j++) {
      Op op = program.ops().get(j);
      Value result = op.result();
      if (result != null && j <= i) {
        written.add(root[result.id()]);
      }
      if (result != null && j == i) {
        needed.add(root[result.id()]);
      }
      if (j >= i) {
        op.operands().forEach(v -> needed.add(root[v.id()]));
      }
    }
    written.retainAll(needed);
    return written;
  }

  private static WeightRef weight(String name, Integer... shape) {
    return new WeightRef(name, Arrays.asList(shape), WeightFormat.F32);
  }

  private static Program random(long seed) {
    Random random = new Random(seed);
    ProgramBuilder g = new ProgramBuilder("random");
    List<Value> values = new ArrayList<>();
    values.add(g.embed(g.tokens(), weight("embed", 50, 8)));
    values.add(g.hidden("input", 8));
    int ops = 3 + random.nextInt(30);
    for (int i = 0; i < ops; i++) {
      values.add(step(g, random, pick(values, random), pick(values, random), i));
    }
    for (int i = 0; i < 4; i++) {
      g.output("out." + i, pick(values, random));
    }
    g.output(Program.LOGITS, g.logits(pick(values, random), weight("head", 50, 8)));
    return g.build();
  }

  private static Value pick(List<Value> values, Random random) {
    int from = Math.max(0, values.size() - 5);
    return values.get(
        random.nextInt(4) == 0
            ? random.nextInt(values.size())
            : from + random.nextInt(values.size() - from));
  }

  /** One or more operations from values [T, 8] to a value [T, 8]. */
  private static Value step(ProgramBuilder g, Random random, Value a, Value b, int i) {
    return switch (random.nextInt(8)) {
      case 0 -> g.add(a, b);
      case 1 -> g.swiGlu(a, b);
      case 2 -> g.linear(a, weight("w", 8, 8));
      case 3 -> g.rmsNorm(b, weight("n", 8), 1e-6);
      case 4 -> g.reshape(g.linear(g.reshape(a, 2, 4), weight("h", 4, 4)), 8);
      case 5 -> g.linear(g.slice(a, 0, 3), weight("s", 8, 3));
      case 6 -> {
        g.storeKv(new KvSpec.Latent(i, 12, 4), a, b);
        Value query = g.linear(a, weight("q", 20, 8));
        KvSpec.Latent cache = new KvSpec.Latent(i, 12, 4);
        Value heads = g.latentAttention(g.reshape(query, 2, 10), weight("kv", 20, 12), cache, 6, 1);
        yield g.reshape(heads, 8);
      }
      default -> {
        RouterSpec spec = new RouterSpec.SoftmaxGreedy(4, 2, true, 1);
        Value routing = g.route(a, weight("gate", 4, 8), null, spec);
        Expert e = new Expert(weight("eg", 3, 8), weight("eu", 3, 8), weight("ed", 8, 3));
        yield g.moe(b, routing, Collections.nCopies(4, e));
      }
    };
  }

  @Test
  void bytesCountFourForAnElementAndEightForARoutingPair() {
    ProgramBuilder g = new ProgramBuilder("bytes");
    Value x = g.embed(g.tokens(), weight("embed", 50, 8));
    Value routing =
        g.route(x, weight("gate", 4, 8), null, new RouterSpec.SoftmaxGreedy(4, 2, true, 1));
    g.output("routing", routing);
    g.output(Program.LOGITS, g.logits(x, weight("head", 50, 8)));
    ScratchPlan plan = new ScratchPlan(g.build(), Set.of("routing"));
    assertThat(plan.bytes(10, 3)).isEqualTo(10 * 4 + 10 * 8 * 4 + 10 * 2 * 8 + 3 * 50 * 4);
  }
}
