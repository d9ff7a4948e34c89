package dev.fathom;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class GenerationRequestTest {

  private static void refused(String why, Consumer<GenerationRequest.Builder> option) {
    assertThatThrownBy(() -> option.accept(GenerationRequest.of(Prompt.text("x"))))
        .isInstanceOfSatisfying(
            InvalidRequestException.class,
            e -> {
              assertThat(e.code()).isEqualTo(ErrorCode.REQUEST_INVALID);
              assertThat(e.why()).isEqualTo(why);
            });
  }

  @Test
  void everyOptionIsCheckedWhereItIsSet() {
    refused("must be in [1, 2147483647]: maxTokens=0", b -> b.maxTokens(0));
    refused("must be in [1, 2147483647]: maxTokens=-2147483648", b -> b.maxTokens(1 << 31));
    refused("must be in [0, 2147483647]: minTokens=-1", b -> b.minTokens(-1));
    refused("must be in [0, 2]: temperature=NaN", b -> b.temperature(Double.NaN));
    refused("must be in [0, 2]: temperature=-0.1", b -> b.temperature(-0.1));
    refused("must be in [0, 2]: temperature=2.1", b -> b.temperature(2.1));
    refused("must be in [0, 2]: temperature=Infinity", b -> b.temperature(1.0 / 0));
    refused("must be in [0, 2147483647]: topK=-1", b -> b.topK(-1));
    refused("must be in (0, 1]: topP=0", b -> b.topP(0));
    refused("must be in (0, 1]: topP=1.5", b -> b.topP(1.5));
    refused("must be in (0, 1]: topP=NaN", b -> b.topP(Double.NaN));
    refused("must be in [0, 1]: minP=-1", b -> b.minP(-1));
    refused("must be in (0, 10]: repetitionPenalty=0", b -> b.repetitionPenalty(0));
    refused("must be in [-2, 2]: presencePenalty=3", b -> b.presencePenalty(3));
    refused("must be in [-2, 2]: frequencyPenalty=-3", b -> b.frequencyPenalty(-3));
    refused("must be in [1, 128]: n=0", b -> b.n(0));
    refused("must be in [1, 128]: n=129", b -> b.n(129));
    refused("must be in [0, 20]: topLogprobs=21", b -> b.topLogprobs(21));
    refused("must be in [0, 16]: stop.size=17", b -> b.stop(new String[17]));
    refused("must be in [1, 256]: stop.length=0", b -> b.stop("a", ""));
    refused("must be in [1, 256]: stop.length=257", b -> b.stop("a".repeat(257)));
    refused("must be in [0, 64]: stopTokenIds.size=65", b -> b.stopTokenIds(new int[65]));
    refused("must be in [0, 2147483647]: stopTokenIds=-1", b -> b.stopTokenIds(-1));
    refused("must be in [-100, 100]: logitBias=NaN", b -> b.logitBias(Map.of(1, Float.NaN)));
    refused("must be in [-100, 100]: logitBias=101", b -> b.logitBias(Map.of(1, 101f)));
    refused("must be in [0, 2147483647]: logitBias.token=-1", b -> b.logitBias(Map.of(-1, 1f)));
    refused("must be in [0, 1024]: logitBias.size=1025", b -> b.logitBias(bias(1025)));
    refused("must be in [0, 3]: minTokens=4", b -> b.minTokens(4).maxTokens(3).build());
  }

  private static Map<Integer, Float> bias(int size) {
    Map<Integer, Float> bias = new HashMap<>();
    for (int i = 0; i < size; i++) {
      bias.put(i, 1f);
    }
    return bias;
  }

  @Test
  void theMessageNamesTheOptionAndTheFixIsTheRange() {
    assertThatThrownBy(() -> GenerationRequest.of(Prompt.text("x")).temperature(3))
        .hasMessage(
            "FATHOM-5000 The option temperature is out of its range: must be in [0, 2]:"
                + " temperature=3. Fix: set temperature to a value in [0, 2]");
  }

  @Test
  void theEndsOfEveryRangeAreAllowed() {
    GenerationRequest request =
        GenerationRequest.of(Prompt.text("x"))
            .maxTokens(Integer.MAX_VALUE)
            .minTokens(Integer.MAX_VALUE)
            .temperature(2)
            .topK(0)
            .topP(1)
            .minP(1)
            .repetitionPenalty(10)
            .presencePenalty(-2)
            .frequencyPenalty(2)
            .n(128)
            .topLogprobs(20)
            .stop(Collections.nCopies(16, "a".repeat(256)).toArray(String[]::new))
            .stopTokenIds(0, 5)
            .logitBias(bias(1024))
            .seed(Long.MIN_VALUE)
            .build();
    assertThat(request.temperature()).isEqualTo(2f);
    assertThat(request.stop()).hasSize(16);
    assertThat(request.stopTokenIds()).containsExactly(0, 5);
  }

  @Test
  void requestsDoNotChangeWithTheirBuilder() {
    GenerationRequest.Builder builder = GenerationRequest.of(Prompt.text("x")).topK(3);
    GenerationRequest first = builder.build();
    builder.topK(4);
    assertThat(first.topK()).isEqualTo(3);
    assertThat(first.toBuilder().n(2).build().topK()).isEqualTo(3);
    assertThat(first.n()).isEqualTo(1);
    assertThat(first.temperature()).isNull();
  }

  @Test
  void promptsKeepCopies() {
    int[] ids = {1, 2};
    Prompt.Tokens tokens = Prompt.tokens(ids);
    ids[0] = 9;
    assertThat(tokens.ids()).containsExactly(1, 2);
    assertThatThrownBy(() -> Prompt.chat(List.of()))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("messages.size=0");
  }

  @Test
  void loadOptionsAreCheckedToo() {
    LoadOptions options = LoadOptions.defaults();
    assertThatThrownBy(() -> options.contextTokens(-1))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("contextTokens=-1");
    assertThatThrownBy(() -> options.maxSequences(0)).hasMessageContaining("maxSequences=0");
    assertThatThrownBy(() -> options.prefillChunkTokens(0)).hasMessageContaining("[1, 65536]");
    assertThatThrownBy(() -> options.threads(-1)).hasMessageContaining("threads=-1");
    assertThat(options.threads(3).threads()).isEqualTo(3);
    assertThat(options.threads()).isZero();
  }

  @Test
  void bytesPrintInUnitsThatPeopleRead() {
    assertThat(Bytes.gib(12)).hasToString("12.0 GiB");
    assertThat(Bytes.mib(1536)).hasToString("1.5 GiB");
    assertThat(Bytes.of(1023)).hasToString("1023 B");
    assertThat(Bytes.of(2048).plus(Bytes.of(512))).hasToString("2.5 KiB");
    assertThatThrownBy(() -> Bytes.of(-1)).hasMessage("must be >= 0: bytes=-1");
    assertThatThrownBy(() -> Bytes.gib(Long.MAX_VALUE)).isInstanceOf(ArithmeticException.class);
  }
}
