package dev.fathom.examples.cli;

import dev.fathom.FinishReason;
import dev.fathom.Generation;
import dev.fathom.Timings;
import dev.fathom.examples.console.Numbers;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import dev.fathom.text.ToolCall;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** What is said about a finished answer: a line for a person, a document for a script. */
final class AnswerReport {

  private AnswerReport() {}

  /** Prints the rates below the answer, or on standard error where the output is piped. */
  static void printRates(Terminal terminal, Generation answer) {
    if (terminal.outIsTerminal()) {
      terminal.out().println(terminal.dim(rates(answer)));
    } else {
      terminal.err().println(rates(answer));
    }
    terminal.flush();
  }

  /** Returns the rates and, where the model did not end by itself, why it ended. */
  static String rates(Generation answer) {
    Timings timings = answer.timings();
    String line =
        "[prompt "
            + timings.promptTokens()
            + " tokens, "
            + Numbers.fixed(timings.prefillTokensPerSecond(), 1)
            + " tok/s; generated "
            + timings.completionTokens()
            + " tokens, "
            + Numbers.fixed(timings.decodeTokensPerSecond(), 1)
            + " tok/s"
            + ending(answer.finishReason());
    return line + "]";
  }

  private static String ending(FinishReason reason) {
    return switch (reason) {
      case EOS, STOP, TOOL_CALLS -> "";
      case LENGTH -> "; cut at --max-tokens";
      case CONTEXT -> "; the context is full, see --context";
      case REPETITION -> "; it repeated itself";
      case DEADLINE -> "; the time was up";
      case CANCELLED -> "; stopped";
      case ERROR -> "; failed";
    };
  }

  /** Returns the answer as a document. */
  static JsonObject json(Generation answer) {
    List<JsonValue> calls = new ArrayList<>();
    for (ToolCall call : answer.toolCalls()) {
      calls.add(
          JsonObject.builder()
              .put("name", call.name())
              .put("arguments", call.argumentsJson())
              .build());
    }
    return JsonObject.builder()
        .put("text", answer.text())
        .put("reasoning", answer.reasoning())
        .put("tool_calls", new JsonArray(calls))
        .put("finish_reason", answer.finishReason().name().toLowerCase(Locale.ROOT))
        .put("seed", answer.choices().getFirst().seed())
        .put("usage", usage(answer))
        .put("timings", timings(answer.timings()))
        .build();
  }

  private static JsonObject usage(Generation answer) {
    return JsonObject.builder()
        .put("prompt_tokens", answer.usage().promptTokens())
        .put("completion_tokens", answer.usage().completionTokens())
        .put("reasoning_tokens", answer.usage().reasoningTokens())
        .build();
  }

  private static JsonObject timings(Timings timings) {
    return JsonObject.builder()
        .put("queue_ms", timings.queue().toMillis())
        .put("prompt_ms", timings.prefill().toMillis())
        .put("generation_ms", timings.decode().toMillis())
        .put("prompt_tokens_per_second", timings.prefillTokensPerSecond())
        .put("generation_tokens_per_second", timings.decodeTokensPerSecond())
        .build();
  }
}
