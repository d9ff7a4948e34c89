package dev.fathom.examples.cli;

import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.text.ChatMessage;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

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
      names = "--system",
      paramLabel = "TEXT",
      description = "Instructions for the whole conversation.")
  @Nullable String system;

  @Mixin SamplingOptions sampling = new SamplingOptions();

  /** Returns a request for the next answer of a conversation. */
  GenerationRequest request(Prompt.Chat chat) {
    return sampling.request(chat.thinking(thinking));
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
