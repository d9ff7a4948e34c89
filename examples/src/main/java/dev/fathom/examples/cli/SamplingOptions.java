package dev.fathom.examples.cli;

import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that say how tokens are chosen: greedily unless told otherwise. */
final class SamplingOptions {

  @Option(
      names = {"-n", "--max-tokens"},
      paramLabel = "N",
      description = "End after so many tokens; default: 1024.")
  @Nullable Integer maxTokens;

  @Option(
      names = {"-t", "--temperature"},
      paramLabel = "T",
      defaultValue = "0",
      description = "0 (default) takes the most probable token; up to 2 for more surprise.")
  double temperature;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description = "Keep the most probable tokens that reach this probability together.")
  @Nullable Double topP;

  @Option(names = "--seed", paramLabel = "N", description = "Repeat the same random choices.")
  @Nullable Long seed;

  @Mixin FormatOptions format = new FormatOptions();

  /**
   * Returns a request with these options.
   *
   * @throws dev.fathom.error.InvalidRequestException where one is out of its range
   */
  GenerationRequest request(Prompt prompt) {
    GenerationRequest.Builder builder = GenerationRequest.of(prompt).temperature(temperature);
    if (maxTokens != null) {
      builder.maxTokens(maxTokens);
    }
    if (topP != null) {
      builder.topP(topP);
    }
    if (seed != null) {
      builder.seed(seed);
    }
    return builder.responseFormat(format.format()).build();
  }
}
