package dev.fathom.examples;

import dev.fathom.DeepSeekModel;
import dev.fathom.quantization.QuantizationRecipe;
import dev.fathom.quantization.QuantizationReport;
import java.io.PrintStream;
import java.nio.file.Path;

class Quantizing {
  private Quantizing() {}

  static void quantize(Path source, Path target, PrintStream out) {
    // README begin
    QuantizationReport report =
        DeepSeekModel.quantize(source, target, QuantizationRecipe.awq(128).keeping("*.kv_b_proj"));
    // README end
    out.println(report.numQuantized() + " linears in " + report.targetBytes() + " bytes");
  }
}
