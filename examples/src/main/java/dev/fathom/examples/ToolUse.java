package dev.fathom.examples;

import dev.fathom.DeepSeekModel;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.text.ChatMessage;
import dev.fathom.text.ToolCall;
import dev.fathom.text.ToolDefinition;
import java.io.PrintStream;
import java.nio.file.Path;

/** Offers the model a tool and prints the calls that it makes. */
public final class ToolUse {

  private ToolUse() {}

  /** Takes the folder of a checkpoint. */
  public static void main(String[] args) {
    try (DeepSeekModel model = DeepSeekModel.load(Path.of(args[0]))) {
      callTool(model, System.out);
    }
  }

  static void callTool(DeepSeekModel model, PrintStream out) {
    // README begin
    ToolDefinition weather =
        new ToolDefinition("get_weather", "Current weather of a city", "{\"type\": \"object\"}");
    Prompt prompt = Prompt.chat(ChatMessage.user("What is the weather in Paris?")).tools(weather);
    Generation answer = model.generate(GenerationRequest.of(prompt).temperature(0).build());
    for (ToolCall call : answer.toolCalls()) {
      out.println(call.name() + " " + call.argumentsJson());
    }
    // README end
  }
}
