package dev.fathom.examples;

import dev.fathom.DeepSeekModel;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.text.ChatMessage;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Asks several questions at once: requests from any number of threads run in one batch. */
public final class Batch {

  private Batch() {}

  /** Takes the folder of a checkpoint. */
  public static void main(String[] args) {
    try (DeepSeekModel model = DeepSeekModel.load(Path.of(args[0]))) {
      askAll(model, System.out);
    }
  }

  static void askAll(DeepSeekModel model, PrintStream out) {
    // README begin
    List<CompletableFuture<Generation>> answers =
        List.of("Norway", "Japan", "Peru").stream()
            .map(country -> "What is the capital of " + country + "?")
            .map(question -> Prompt.chat(ChatMessage.user(question)))
            .map(prompt -> model.submit(GenerationRequest.of(prompt).temperature(0).build()))
            .toList();
    answers.forEach(answer -> out.println(answer.join().text()));
    // README end
  }
}
