package dev.fathom.examples;

// README begin
import dev.fathom.DeepSeekModel;
import java.nio.file.Path;

class QuickStart {
  public static void main(String[] args) {
    try (DeepSeekModel model = DeepSeekModel.load(Path.of(args[0]))) {
      System.out.println(model.chat("What is the capital of Norway?").text());
    }
  }
}
// README end
