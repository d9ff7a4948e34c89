package dev.fathom.examples.cli;

import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.text.ChatMessage;
import dev.fathom.text.PromptOptions.Effort;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Options of a conversation: the model reasons first unless told otherwise. */
final class ChatOptions {

  @Option(
      names = "--thinking",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = "Let the model reason first (default), or not.")
  boolean thinking = true;

  @Option(
      names = "--effort",
      paramLabel = "low|high|max",
      converter = EffortName.class,
      description = "How long to reason; only DeepSeek-V4 makes a difference.")
  Effort effort = Effort.DEFAULT;

  @Option(
      names = "--keep-reasoning",
      description = "Leave earlier reasoning in the prompt where the model allows it (V4).")
  boolean keepReasoning;

  @Option(
      names = "--response-format",
      paramLabel = "JSON",
      description = "JSON schema that the prompt tells the model to follow (V3.2 and V4).")
  @Nullable String responseFormat;

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description = "Instructions for the whole conversation.")
  @Nullable String system;

  @Mixin SamplingOptions sampling = new SamplingOptions();

  /** Returns a request for the next answer of a conversation. */
  GenerationRequest request(Prompt.Chat chat) {
    return sampling.request(
        chat.thinking(thinking)
            .effort(effort)
            .keepReasoning(keepReasoning)
            .responseFormat(responseFormat));
  }

  /** Reads an effort in small letters. */
  static final class EffortName implements ITypeConverter<Effort> {

    @Override
    public Effort convert(String value) {
      return switch (value) {
        case "low" -> Effort.LOW;
        case "high" -> Effort.HIGH;
        case "max" -> Effort.MAX;
        default -> throw new TypeConversionException("must be low, high or max: " + value);
      };
    }
  }

  /**
   * Checks the options before a model is loaded for them.
   *
   * @throws dev.fathom.error.InvalidRequestException where one is out of its range
   */
  void check() {
    if (request(Prompt.chat(ChatMessage.user("?"))).n() != 1) {
      throw new IllegalStateException("a conversation has one answer");
    }
  }
}
