package dev.fathom;

import static dev.fathom.text.ChatMessage.user;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.arch.Architectures;
import dev.fathom.checkpoint.Checkpoint;
import dev.fathom.checkpoint.SafetensorsDtype;
import dev.fathom.engine.CheckpointWeights;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.FathomException;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.golden.PeftFolder;
import dev.fathom.program.Linears;
import dev.fathom.program.Program;
import dev.fathom.program.WeightRef;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** LoRA adapters as users load and name them, on the sample model. */
class AdapterTest {

  private static final int RANK = 2;

  @TempDir static Path folder;
  private static Path red;
  private static Path blue;
  private static Map<String, WeightRef> linears;

  @BeforeAll
  static void writeAdapters() {
    Checkpoint checkpoint = Checkpoint.open(Sample.FP8);
    Program program =
        Architectures.forConfig(checkpoint.config())
            .program(checkpoint.config(), new CheckpointWeights(checkpoint));
    Map<String, WeightRef> attention = new LinkedHashMap<>();
    Map<String, WeightRef> experts = new LinkedHashMap<>();
    linears = new Linears(program).byName();
    linears.forEach((name, weight) -> {
      if (name.contains("self_attn")) {
        attention.put(name, weight);
      } else if (name.contains("layers.1.mlp.")) {
        experts.put(name, weight);
      }
    });
    red = folder.resolve("red");
    blue = folder.resolve("blue");
    write(red, attention, 0.5);
    write(blue, experts, 1);
  }

  private static void write(Path path, Map<String, WeightRef> modules, double alpha) {
    PeftFolder written =
        new PeftFolder(path, modules, RANK, alpha, "weight", SafetensorsDtype.BF16);
    assertThat(written).isNotNull();
  }

  private static long bytes(Map<String, WeightRef> modules) {
    return modules.values().stream().mapToLong(w -> 4L * RANK * (w.rows() + w.cols())).sum();
  }

  private static DeepSeekModel.Builder sample() {
    return DeepSeekModel.builder(Sample.FP8)
        .backend("reference")
        .contextTokens(64)
        .maxSequences(3)
        .prefillChunkTokens(16);
  }

  private static GenerationRequest request(String adapter) {
    return GenerationRequest.of(Prompt.chat(user("What is the capital of Norway?")))
        .maxTokens(12)
        .ignoreEos(true)
        .adapter(adapter)
        .build();
  }

  @Test
  void requestsOfTwoAdaptersAndNoneRunTogetherAndGiveWhatTheyGiveAlone() {
    try (DeepSeekModel model = sample().maxAdapters(2).load()) {
      Generation before = model.generate(request(null));
      model.loadAdapter("red", red);
      model.loadAdapter("blue", blue);
      assertThat(model.adapters()).containsExactly("blue", "red");
      Generation redAlone = model.generate(request("red"));
      Generation blueAlone = model.generate(request("blue"));
      assertThat(redAlone.logprobs()).isNotEqualTo(before.logprobs());
      assertThat(blueAlone.logprobs())
          .isNotEqualTo(before.logprobs())
          .isNotEqualTo(redAlone.logprobs());
      List<CompletableFuture<Generation>> together = new ArrayList<>();
      for (String name : new String[] {"red", null, "blue", "red", null}) {
        together.add(model.submit(request(name)));
      }
      List<Generation> expected = List.of(redAlone, before, blueAlone, redAlone, before);
      for (int i = 0; i < expected.size(); i++) {
        assertThat(together.get(i).join().logprobs())
            .as("request %d", i)
            .isEqualTo(expected.get(i).logprobs());
      }
    }
  }

  @Test
  void aPrefixThatWasCachedWithoutAnAdapterIsNotUsedWithOne() {
    Generation expected;
    try (DeepSeekModel model = sample().kvBlockTokens(2).adapter("red", red).load()) {
      expected = model.generate(request("red"));
    }
    try (DeepSeekModel model = sample().kvBlockTokens(2).maxAdapters(1).load()) {
      Generation base = model.generate(request(null));
      model.loadAdapter("x", blue);
      model.generate(request("x"));
      model.unloadAdapter("x");
      model.loadAdapter("x", red);
      assertThat(model.generate(request("x")).logprobs()).isEqualTo(expected.logprobs());
      assertThat(model.generate(request("x")).logprobs()).isEqualTo(expected.logprobs());
      assertThat(model.generate(request(null)).logprobs()).isEqualTo(base.logprobs());
    }
  }

  @Test
  void logitsAndPerplexityCanBeThoseOfAnAdapter() {
    int[] ids = {0, 17, 5, 99, 3};
    try (DeepSeekModel model = sample().adapter("red", red).load()) {
      double base = model.perplexity(ids, 4).value();
      assertThat(model.perplexity(ids, 2, "red").value())
          .isNotEqualTo(base)
          .isEqualTo(model.perplexity(ids, 4, "red").value());
      assertThat(model.perplexity(ids, 4, null).value()).isEqualTo(base);
      refused(
          () -> model.logits(ids, 4, "green", (p, l, o, v) -> {}),
          ErrorCode.ADAPTER_UNKNOWN,
          "loaded are [red]");
    }
  }

  @Test
  void anAdapterThatIsUnloadedWhileInUseServesItsRequestsToTheEnd() {
    try (DeepSeekModel model = sample().maxAdapters(1).load()) {
      model.loadAdapter("red", red);
      String expected = model.generate(request("red")).text();
      try (TokenStream stream = model.stream(request("red"))) {
        Iterator<Token> tokens = stream.iterator();
        tokens.next();
        model.unloadAdapter("red");
        refused(
            () -> model.generate(request("red")),
            ErrorCode.ADAPTER_UNKNOWN,
            "no adapter is loaded");
        while (tokens.hasNext()) {
          tokens.next();
        }
        assertThat(stream.result().text()).isEqualTo(expected);
      }
      model.loadAdapter("red", blue);
      Generation other = model.generate(request("red"));
      model.unloadAdapter("red");
      model.loadAdapter("blue", blue);
      assertThat(other.logprobs()).isEqualTo(model.generate(request("blue")).logprobs());
    }
  }

  @Test
  void aSlotIsFreeAgainAfterManyLoads() {
    try (DeepSeekModel model = sample().maxAdapters(1).load()) {
      model.loadAdapter("red", red);
      model.generate(request("red"));
      model.unloadAdapter("red");
      for (int i = 0; i < 20; i++) {
        model.loadAdapter("a" + i, red);
        model.unloadAdapter("a" + i);
      }
      assertThat(model.adapters()).isEmpty();
    }
  }

  @Test
  void anUnknownAdapterIsRefusedWithTheNamesOfTheLoadedOnes() {
    try (DeepSeekModel model = sample().adapter("red", red).adapter("blue", blue).load()) {
      FathomException e =
          refused(
              () -> model.generate(request("green")),
              ErrorCode.ADAPTER_UNKNOWN,
              "loaded are [blue, red]");
      assertThat(e.fix()).contains("loadAdapter");
      refused(
          () -> model.unloadAdapter("green"), ErrorCode.ADAPTER_UNKNOWN, "loaded are [blue, red]");
      model.generate(request("blue"));
    }
  }

  @Test
  void aNameInUseIsRefusedAndUnloadingMends() {
    try (DeepSeekModel model = sample().maxAdapters(2).adapter("red", red).load()) {
      refused(
          () -> model.loadAdapter("red", blue),
          ErrorCode.ADAPTER_NAME_IN_USE,
          "an adapter of this name is loaded");
      model.unloadAdapter("red");
      model.loadAdapter("red", blue);
      refused(() -> model.loadAdapter(" ", red), ErrorCode.REQUEST_INVALID, "adapter.length=0");
    }
  }

  @Test
  void moreAdaptersThanPlannedAreRefusedAndTheRemedyWorks() {
    try (DeepSeekModel model = sample().load()) {
      FathomException e =
          refused(
              () -> model.loadAdapter("red", red),
              ErrorCode.ADAPTER_LIMIT,
              "must be <= 0: loaded adapters=1");
      assertThat(e.fix()).startsWith("load the model with maxAdapters(1) or more");
    }
    try (DeepSeekModel model = sample().maxAdapters(1).load()) {
      model.loadAdapter("red", red);
    }
  }

  @Test
  void moreMemoryThanPlannedIsRefusedAndTheRemedyWorks() {
    try (DeepSeekModel model = sample().maxAdapters(1).adapterMemory(Bytes.of(1000)).load()) {
      FathomException e =
          refused(() -> model.loadAdapter("red", red), ErrorCode.ADAPTER_LIMIT, "must be <= 1000");
      assertThat(e.fix()).isEqualTo("load the model with adapterMemory(Bytes.mib(1)) or more");
      assertThat(model.adapters()).isEmpty();
    }
    try (DeepSeekModel model = sample().maxAdapters(1).adapterMemory(Bytes.mib(1)).load()) {
      model.loadAdapter("red", red);
    }
  }

  @Test
  void theMemoryPlanCountsAdapters() {
    MemoryPlan none = sample().plan();
    assertThat(none.adapterBytes()).isZero();
    MemoryPlan named = sample().adapter("red", red).plan();
    Map<String, WeightRef> attention = new LinkedHashMap<>(linears);
    attention.keySet().removeIf(name -> !name.contains("self_attn"));
    assertThat(named.adapterBytes()).isEqualTo(bytes(attention));
    assertThat(named.totalBytes()).isEqualTo(none.totalBytes() + bytes(attention));
    assertThat(named.breakdown()).contains(" + adapters ");
    Map<String, WeightRef> plain = new LinkedHashMap<>(linears);
    plain.keySet().removeIf(name -> name.contains(".experts."));
    assertThat(sample().maxAdapters(3).plan().adapterBytes()).isEqualTo(3 * 8 * bytes(plain));
    assertThat(sample().maxAdapters(3).adapterMemory(Bytes.mib(7)).plan().adapterBytes())
        .isEqualTo(7L << 20);
  }

  @Test
  void aFolderThatIsNoAdapterFailsTheLoadingOfTheModel() {
    Path nothing = folder.resolve("nothing");
    refused(
        () -> sample().adapter("x", nothing).load(),
        ErrorCode.CHECKPOINT_NOT_FOUND,
        "there is no adapter_config.json in it");
    assertThatThrownBy(() -> sample().adapter("x", red).adapter("x", blue))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("must differ: adapter=x");
  }

  private static FathomException refused(Runnable call, ErrorCode code, String why) {
    FathomException[] thrown = new FathomException[1];
    assertThatThrownBy(call::run)
        .isInstanceOfSatisfying(FathomException.class, e -> thrown[0] = e)
        .hasMessageContaining(why);
    assertThat(thrown[0].code()).isEqualTo(code);
    return thrown[0];
  }
}
