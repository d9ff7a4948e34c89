package dev.fathom.examples;

import dev.fathom.DeepSeekModel;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.Token;
import dev.fathom.TokenStream;
import dev.fathom.text.ChatMessage;
import java.io.PrintStream;
import java.nio.file.Path;

/** Prints an answer while it comes, reasoning and all. */
public final class Streaming {

  private Streaming() {}

  /** Takes the folder of a checkpoint. */
  public static void main(String[] args) {
    try (DeepSeekModel model = DeepSeekModel.load(Path.of(args[0]))) {
      stream(model, System.out);
    }
  }

  static void stream(DeepSeekModel model, PrintStream out) {
    // README begin
    GenerationRequest request =
        GenerationRequest.of(Prompt.chat(ChatMessage.user("What is 27 + 48?")).thinking(true))
            .maxTokens(256)
            .temperature(0)
            .build();
    try (TokenStream stream = model.stream(request)) {
      for (Token token : stream) {
        out.print(token.text());
        out.flush();
      }
      out.println("\n" + stream.result().timings());
    }
    // README end
  }
}
