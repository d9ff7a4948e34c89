package dev.fathom.backend;

import dev.fathom.program.ElementType;
import dev.fathom.program.Lead;
import dev.fathom.program.Op;
import dev.fathom.program.Program;
import dev.fathom.program.Value;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * Which values of a program share memory: a value's slot is free again after its last reader.
 *
 * <p>A slot has one shape of row (type, lead, width) and never holds an operand and the result of
 * the same operation. A reshape has the slot of its input. Wanted outputs and inputs of the program
 * keep their slots for the whole step. Immutable.
 */
public final class ScratchPlan {

  /**
   * One piece of scratch memory.
   *
   * @param type element type
   * @param lead what its rows count
   * @param width elements of a row
   */
  public record Slot(ElementType type, Lead lead, int width) {}

  private final List<Slot> slots = new ArrayList<>();
  private final int[] slotOf;

  /**
   * Plans the scratch memory of a program.
   *
   * @param program the program
   * @param outputs names of the outputs that must survive the step
   */
  public ScratchPlan(Program program, Set<String> outputs) {
    this.slotOf = new int[program.values().size()];
    Arrays.fill(slotOf, -1);
    int[] root = roots(program);
    int[] lastUse = lastUses(program, root, outputs);
    List<Integer> free = new ArrayList<>();
    for (Value input : program.inputs().values()) {
      slotOf[input.id()] = newSlot(input);
    }
    for (int i = 0; i < program.ops().size(); i++) {
      define(program.ops().get(i), root, free);
      release(program.ops().get(i), i, root, lastUse, free);
    }
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

  private static int[] lastUses(Program program, int[] root, Set<String> outputs) {
    int[] lastUse = new int[root.length];
    for (int i = 0; i < program.ops().size(); i++) {
      Op op = program.ops().get(i);
      Value result = op.result();
      if (result != null) {
        lastUse[root[result.id()]] = Math.max(lastUse[root[result.id()]], i);
      }
      for (Value operand : op.operands()) {
        lastUse[root[operand.id()]] = i;
      }
    }
    int end = program.ops().size();
    program.inputs().values().forEach(v -> lastUse[root[v.id()]] = end);
    program.outputs().entrySet().stream()
        .filter(e -> outputs.contains(e.getKey()) || e.getKey().equals(Program.LOGITS))
        .forEach(e -> lastUse[root[e.getValue().id()]] = end);
    return lastUse;
  }

  private void define(Op op, int[] root, List<Integer> free) {
    Value result = op.result();
    if (result == null) {
      return;
    }
    int id = result.id();
    slotOf[id] = root[id] == id ? takeSlot(result, free) : slotOf[root[id]];
  }

  private int takeSlot(Value value, List<Integer> free) {
    Slot wanted = new Slot(value.type(), value.shape().lead(), value.shape().width());
    for (int i = 0; i < free.size(); i++) {
      if (slots.get(free.get(i)).equals(wanted)) {
        return free.remove(i);
      }
    }
    return newSlot(value);
  }

  private int newSlot(Value value) {
    slots.add(new Slot(value.type(), value.shape().lead(), value.shape().width()));
    return slots.size() - 1;
  }

  private void release(Op op, int i, int[] root, int[] lastUse, List<Integer> free) {
    List<Value> touched = new ArrayList<>(op.operands());
    Value result = op.result();
    if (result != null) {
      touched.add(result);
    }
    for (Value value : touched) {
      int id = root[value.id()];
      if (lastUse[id] == i) {
        free.add(slotOf[id]);
        lastUse[id] = -1;
      }
    }
  }

  /** Returns all slots. */
  public List<Slot> slots() {
    return List.copyOf(slots);
  }

  /** Returns the slot of a value. */
  public int slotOf(Value value) {
    return slotOf[value.id()];
  }

  /** Returns the bytes of all slots, four for each element and eight for each routing pair. */
  public long bytes(int maxTokens, int maxRows) {
    long bytes = 0;
    for (Slot slot : slots) {
      long rows = slot.lead() == Lead.TOKENS ? maxTokens : maxRows;
      bytes += rows * slot.width() * (slot.type() == ElementType.ROUTING ? 8L : 4L);
    }
    return bytes;
  }
}
