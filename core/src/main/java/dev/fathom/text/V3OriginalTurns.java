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

/**
 * The turns of a conversation with the faults of the template published with V3, kept for byte
 * parity. Its flags for the first call and the first result are never reset, and a call list is
 * closed in the branch of its second call only.
 */
final class V3OriginalTurns {
  private final PromptWriter out;
  private boolean callSeen;
  private boolean resultSeen;
  private boolean inOutputs;

  V3OriginalTurns(PromptWriter out) {
    this.out = out;
  }

  /** Writes everything up to the generation prompt; returns whether the end is in tool results. */
  boolean write(Conversation conversation) {
    out.control(BEGIN).text(PromptParts.joinedSystem(conversation));
    for (ChatMessage message : conversation.messages()) {
      switch (message) {
        case SystemMessage ignored -> {}
        case ChatMessage.ExtendedMessage ignored -> {}
        case UserMessage user -> {
          inOutputs = false;
          out.control(USER).text(user.content());
        }
        case AssistantMessage answer -> writeAnswer(answer);
        case ToolMessage result -> writeResult(result);
      }
    }
    if (inOutputs) {
      out.control(OUTPUTS_END);
    }
    return inOutputs;
  }

  private void writeAnswer(AssistantMessage answer) {
    String content = answer.content();
    if (content == null) {
      inOutputs = false;
      answer.toolCalls().forEach(this::writeCall);
      return;
    }
    out.control(inOutputs ? OUTPUTS_END : ASSISTANT).text(content).control(END);
    inOutputs = false;
  }

  private void writeCall(ToolCall call) {
    if (!callSeen) {
      out.control(ASSISTANT).control(CALLS_BEGIN);
      ToolCallSyntax.FENCED.write(call, out);
      callSeen = true;
      return;
    }
    out.text("\n");
    ToolCallSyntax.FENCED.write(call, out);
    out.control(CALLS_END).control(END);
  }

  private void writeResult(ToolMessage result) {
    inOutputs = true;
    if (resultSeen) {
      out.text("\n");
    } else {
      out.control(OUTPUTS_BEGIN);
    }
    resultSeen = true;
    out.control(OUTPUT_BEGIN).text(result.content()).control(OUTPUT_END);
  }
}
