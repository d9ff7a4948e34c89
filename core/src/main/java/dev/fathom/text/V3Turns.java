package dev.fathom.text;

import static dev.fathom.text.ControlTokens.ASSISTANT;
import static dev.fathom.text.ControlTokens.BEGIN;
import static dev.fathom.text.ControlTokens.CALLS_BEGIN;
import static dev.fathom.text.ControlTokens.CALLS_END;
import static dev.fathom.text.ControlTokens.END;
import static dev.fathom.text.ControlTokens.OUTPUTS_BEGIN;
import static dev.fathom.text.ControlTokens.OUTPUTS_END;
import static dev.fathom.text.ControlTokens.OUTPUT_BEGIN;
import static dev.fathom.text.ControlTokens.OUTPUT_END;
import static dev.fathom.text.ControlTokens.USER;

import dev.fathom.text.ChatMessage.AssistantMessage;
import dev.fathom.text.ChatMessage.SystemMessage;
import dev.fathom.text.ChatMessage.ToolMessage;
import dev.fathom.text.ChatMessage.UserMessage;
import java.util.List;
import java.util.function.UnaryOperator;

/** The turns of a conversation in the grammar that V3 and R1 share. */
final class V3Turns {
  private V3Turns() {}

  /** Writes the beginning: system text and tools. */
  static void writeSystem(String system, List<ToolDefinition> tools, PromptWriter out) {
    out.control(BEGIN).text(system);
    if (tools.isEmpty()) {
      return;
    }
    out.text(system.isEmpty() ? "" : "\n\n");
    out.text("## Tools\n\n### Function\n\nYou have the following functions available:\n\n");
    for (ToolDefinition tool : tools) {
      out.text("- `" + tool.name() + "`:\n```json\n" + PromptParts.function(tool) + "\n```\n");
    }
  }

  /**
   * Writes all turns.
   *
   * @param history what an earlier answer without calls becomes
   * @return whether the conversation ends in tool results, after which the model goes on without a
   *     generation prompt
   */
  static boolean write(Conversation conversation, UnaryOperator<String> history, PromptWriter out) {
    boolean inOutputs = false;
    for (ChatMessage message : conversation.messages()) {
      if (inOutputs && (message instanceof UserMessage || message instanceof AssistantMessage)) {
        out.control(OUTPUTS_END);
      }
      switch (message) {
        case SystemMessage ignored -> {}
        case ChatMessage.ExtendedMessage ignored -> {}
        case UserMessage user -> {
          out.control(USER).text(user.content());
          inOutputs = false;
        }
        case AssistantMessage answer -> {
          if (inOutputs) {
            out.text(answer.text());
          } else {
            out.control(ASSISTANT).text(history.apply(answer.text()));
          }
          writeCalls(answer.toolCalls(), out);
          out.control(END);
          inOutputs = false;
        }
        case ToolMessage result -> {
          writeResult(result, !inOutputs, out);
          inOutputs = true;
        }
      }
    }
    if (inOutputs) {
      out.control(OUTPUTS_END);
    }
    return inOutputs;
  }

  private static void writeResult(ToolMessage result, boolean first, PromptWriter out) {
    if (first) {
      out.control(OUTPUTS_BEGIN);
    } else {
      out.text("\n");
    }
    out.control(OUTPUT_BEGIN).text(result.content()).control(OUTPUT_END);
  }

  private static void writeCalls(List<ToolCall> calls, PromptWriter out) {
    if (calls.isEmpty()) {
      return;
    }
    out.control(CALLS_BEGIN);
    for (int i = 0; i < calls.size(); i++) {
      out.text(i == 0 ? "" : "\n");
      ToolCallSyntax.FENCED.write(calls.get(i), out);
    }
    out.control(CALLS_END);
  }
}
