package dev.fathom;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.InvalidRequestException;
import dev.fathom.kvcache.KvFormat;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/**
 * Cached prefixes, tenants, a small cache and its formats, through the API and the sample model.
 */
class PrefixCacheTest {

  private static final LoadOptions SMALL =
      LoadOptions.defaults().backend("reference").contextTokens(64).kvBlockTokens(4);

  private static GenerationRequest.Builder request() {
    return GenerationRequest.of(Prompt.text("What is the capital of Norway? The capital"))
        .maxTokens(6)
        .temperature(0);
  }

  @Test
  void aPromptIsComputedOnceForEachTenantAndAnswersStayTheSame() {
    try (DeepSeekModel model = DeepSeekModel.builder(Sample.FP8).options(SMALL).load()) {
      Generation first = model.generate(request().build());
      Generation second = model.generate(request().build());
      Generation other = model.generate(request().tenant("a").build());
      Generation again = model.generate(request().tenant("a").priority(-3).build());
      int prompt = first.usage().promptTokens();
      assertThat(prompt).isGreaterThan(5);
      assertThat(first.usage().cachedTokens()).isZero();
      assertThat(other.usage().cachedTokens()).isZero();
      int cached = (prompt - 1) / 4 * 4;
      assertThat(second.usage().cachedTokens()).isEqualTo(cached);
      assertThat(again.usage().cachedTokens()).isEqualTo(cached);
      for (Generation g : List.of(second, other, again)) {
        assertThat(g.text()).isEqualTo(first.text());
      }
    }
    try (DeepSeekModel model =
        DeepSeekModel.builder(Sample.FP8).options(SMALL.prefixCache(false)).load()) {
      model.generate(request().build());
      assertThat(model.generate(request().build()).usage().cachedTokens()).isZero();
    }
  }

  @Test
  void aCacheOfOneContextServesManyRequestsWithTheSameAnswers() {
    LoadOptions tight = SMALL.maxSequences(4).kvCacheTokens(64).prefillChunkTokens(8);
    String expected;
    try (DeepSeekModel model = DeepSeekModel.builder(Sample.FP8).options(SMALL).load()) {
      expected = model.generate(request().maxTokens(30).ignoreEos(true).build()).text();
    }
    for (LoadOptions options : List.of(tight, tight.reserveKvCache(true).longPromptTokens(3))) {
      try (DeepSeekModel model = DeepSeekModel.builder(Sample.FP8).options(options).load()) {
        List<CompletableFuture<Generation>> all = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          GenerationRequest.Builder request = request().maxTokens(30).ignoreEos(true);
          all.add(model.submit(request.tenant("tenant " + i).build()));
        }
        all.forEach(f -> assertThat(f.join().text()).isEqualTo(expected));
      }
    }
    assertThatThrownBy(
            () -> DeepSeekModel.builder(Sample.FP8).options(SMALL.kvCacheTokens(63)).load())
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("kvCacheTokens=63");
  }

  @Test
  void everyFormatOfTheCacheAnswers() {
    for (KvFormat format : KvFormat.values()) {
      try (DeepSeekModel model =
          DeepSeekModel.builder(Sample.FP8).options(SMALL.kvCache(format)).load()) {
        assertThat(model.generate(request().build()).usage().completionTokens()).isPositive();
      }
    }
  }
}
