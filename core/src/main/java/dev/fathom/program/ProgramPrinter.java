package dev.fathom.program;

import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/**
 * Prints a program, one operation a line, so that two programs can be compared with diff.
 *
 * <p>A line reads {@code %5 = linear(%4; name[out, in] format) : [T, out]}. Experts print as their
 * first member and their number.
 */
public final class ProgramPrinter {

  private ProgramPrinter() {}

  /** Returns the program as text that ends with a newline. */
  public static String print(Program program) {
    StringBuilder out = new StringBuilder();
    out.append("program ").append(program.name()).append('\n');
    for (Map.Entry<String, Value> input : program.inputs().entrySet()) {
      out.append("  input ").append(input.getKey()).append(" = ");
      out.append(typed(input.getValue())).append('\n');
    }
    for (Op op : program.ops()) {
      out.append("  ").append(line(op)).append('\n');
    }
    for (Map.Entry<String, Value> output : program.outputs().entrySet()) {
      out.append("  output ").append(output.getKey()).append(" = ");
      out.append(typed(output.getValue())).append('\n');
    }
    return out.toString();
  }

  /** Returns one operation as a line without its newline. */
  public static String line(Op op) {
    StringBuilder out = new StringBuilder();
    Value result = op.result();
    if (result != null) {
      out.append(result).append(" = ");
    }
    out.append(op.kind()).append('(').append(arguments(op)).append(')');
    if (result != null) {
      out.append(" : ").append(result.shape());
    }
    return out.toString();
  }

  private static String typed(Value value) {
    return value + " : " + value.shape() + " " + value.type();
  }

  private static String arguments(Op op) {
    StringJoiner groups = new StringJoiner("; ");
    StringJoiner operands = new StringJoiner(", ");
    op.operands().forEach(v -> operands.add(v.toString()));
    groups.add(operands.toString());
    addWeights(op, groups);
    String attributes = attributes(op);
    if (!attributes.isEmpty()) {
      groups.add(attributes);
    }
    return groups.toString();
  }

  private static void addWeights(Op op, StringJoiner groups) {
    List<WeightRef> weights = op.weights();
    if (op instanceof Op.Moe moe) {
      groups.add(moe.experts().size() + " x " + moe.experts().getFirst().gate());
      return;
    }
    if (!weights.isEmpty()) {
      StringJoiner names = new StringJoiner(", ");
      weights.forEach(w -> names.add(w.toString()));
      groups.add(names.toString());
    }
  }

  private static String attributes(Op op) {
    return switch (op) {
      case Op.RmsNorm norm -> "eps=" + norm.eps();
      case Op.Slice slice -> slice.begin() + ".." + slice.end();
      case Op.Rope rope -> rope.rope() + " at " + rope.begin();
      case Op.StoreKv store -> store.spec().toString();
      case Op.LatentAttention attention ->
          attention.cache()
              + ", nope="
              + attention.qkNopeHeadDim()
              + ", scale="
              + attention.scale();
      case Op.TopKIndex index -> index.cache() + ", scale=" + index.scale();
      case Op.LayerNorm norm -> "eps=" + norm.eps();
      case Op.Attention attention -> attention.cache() + ", scale=" + attention.scale();
      case Op.Route route -> route.spec().toString();
      case CompressedOp.CompressKv compress -> compress.rows() + " -> " + compress.entries();
      case CompressedOp.WindowAttention attention ->
          attention.window() + ", " + attention.compressed() + ", scale=" + attention.scale();
      default -> "";
    };
  }
}
