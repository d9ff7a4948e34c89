package dev.fathom.program;

import static dev.fathom.program.ProgramBuilderTest.weight;
import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.kvcache.KvSpec;
import dev.fathom.moe.RouterSpec;
import dev.fathom.quant.WeightFormat;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class ProgramPrinterTest {

  @Test
  void aProgramWithEveryOperationPrintsAsTheFileBesideThisTest() throws IOException {
    assertThat(ProgramPrinter.print(everything())).isEqualTo(golden());
    assertThat(everything()).hasToString(golden());
  }

  private static String golden() throws IOException {
    try (InputStream in = ProgramPrinterTest.class.getResourceAsStream("every-operation.txt")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static Program everything() {
    ProgramBuilder g = new ProgramBuilder("every_operation");
    Value x = g.embed(g.tokens(), new WeightRef("embed", List.of(96, 8), WeightFormat.BF16));
    g.output("hidden.0", x);
    Value n = g.rmsNorm(x, weight("norm", 8), 1e-6);
    Value q = g.reshape(g.linear(n, weight("q.weight", 12, 8), weight("q.bias", 12)), 2, 6);
    RopeSpec rope = new RopeSpec(new float[] {1}, 1.25f, RopeLayout.INTERLEAVED);
    Value turned = g.rope(q, rope, 4);
    KvSpec.Latent latent = new KvSpec.Latent(0, 6, 2);
    g.storeKv(latent, g.slice(n, 0, 6), g.rope(g.slice(n, 6, 8), rope, 0));
    WeightRef kvB = new WeightRef("kv_b", List.of(14, 6), WeightFormat.FP8_E4M3);
    Value heads = g.latentAttention(turned, kvB, latent, 4, 0.5);
    Value h = g.add(x, g.linear(g.reshape(heads, 6), weight("o.weight", 8, 6)));
    KvSpec.Full full = new KvSpec.Full(1, 1, 4);
    g.storeKv(full, h);
    Value mixed = g.attention(g.reshape(h, 2, 4), full, 0.25);
    h = g.add(h, g.reshape(mixed, 8));
    RouterSpec spec = new RouterSpec.SoftmaxGreedy(4, 2, true, 1.5);
    Value routing = g.route(h, weight("gate", 4, 8), null, spec);
    Expert expert =
        new Expert(weight("e.gate", 3, 8), weight("e.up", 3, 8), weight("e.down", 8, 3));
    Value routed = g.moe(h, routing, Collections.nCopies(4, expert));
    h = g.add(routed, g.swiGlu(h, n));
    g.output(Program.LOGITS, g.logits(h, weight("lm_head.weight", 96, 8)));
    return g.build();
  }
}
