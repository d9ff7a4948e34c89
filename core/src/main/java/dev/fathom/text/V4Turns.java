package dev.fathom.text;

import static dev.fathom.text.ControlTokens.ASSISTANT;
import static dev.fathom.text.ControlTokens.END;
import static dev.fathom.text.ControlTokens.END_THINK;
import static dev.fathom.text.ControlTokens.REMINDER;
import static dev.fathom.text.ControlTokens.THINK;
import static dev.fathom.text.ControlTokens.USER;

import dev.fathom.text.ChatMessage.AssistantMessage;
import dev.fathom.text.ChatMessage.DeveloperMessage;
import dev.fathom.text.ChatMessage.ReminderMessage;
import dev.fathom.text.ChatMessage.SystemMessage;
import dev.fathom.text.ChatMessage.Task;
import dev.fathom.text.ChatMessage.TaskMessage;
import dev.fathom.text.ChatMessage.ToolMessage;
import dev.fathom.text.ChatMessage.UserMessage;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The turns of one conversation on their way into a prompt of V4. */
final class V4Turns {

  /** A message, and for users the blocks that stand in for it: texts and results, in order. */
  private static final class Turn {
    final ChatMessage message;
    final List<ChatMessage> blocks = new ArrayList<>();
    @Nullable Task task;

    Turn(ChatMessage message) {
      this.message = message;
    }

    boolean isUser() {
      return !blocks.isEmpty();
    }

    boolean asks() {
      return isUser() || message instanceof DeveloperMessage;
    }
  }

  private final Conversation conversation;
  private final PromptOptions options;
  private final PromptWriter out;
  private final List<Turn> turns;
  private final boolean drop;
  private final int lastUser;
  private boolean open;

  V4Turns(Conversation conversation, PromptOptions options, PromptWriter out) {
    this.conversation = conversation;
    this.options = options;
    this.out = out;
    PromptParts.requireCallsBeforeResults(conversation.messages());
    List<Turn> merged = merged(PromptParts.withSystemForTools(conversation));
    sortResults(merged);
    this.drop = !options.keepReasoning() && !offersTools(conversation);
    if (options.thinking() && drop) {
      int last = lastUser(merged);
      List<Turn> earlier = merged.subList(0, Math.max(0, last));
      earlier.removeIf(turn -> turn.message instanceof DeveloperMessage);
    }
    this.turns = merged;
    this.lastUser = lastUser(merged);
  }

  private static boolean offersTools(Conversation conversation) {
    return !conversation.tools().isEmpty()
        || conversation.messages().stream()
            .anyMatch(m -> m instanceof DeveloperMessage d && !d.tools().isEmpty());
  }

  /** Users' messages and results that follow one another make one turn. */
  private static List<Turn> merged(List<ChatMessage> messages) {
    List<Turn> turns = new ArrayList<>();
    for (ChatMessage message : messages) {
      Turn last = turns.isEmpty() ? null : turns.getLast();
      switch (message) {
        case TaskMessage asked -> {
          if (last == null) {
            throw PromptParts.invalid(
                "Cannot render a task", "no message is in front of it", "put one there");
          }
          last.task = asked.task();
        }
        case ToolMessage result -> addBlock(last, result, turns);
        case UserMessage user ->
            addBlock(last == null || last.task != null ? null : last, user, turns);
        default -> turns.add(new Turn(message));
      }
    }
    return turns;
  }

  private static void addBlock(@Nullable Turn last, ChatMessage block, List<Turn> turns) {
    Turn turn = last;
    if (turn == null || !turn.isUser()) {
      turn = new Turn(block);
      turns.add(turn);
    }
    turn.blocks.add(block);
  }

  /**
   * Brings the results of a turn into the order of the calls before it; unknown ones count as 0.
   */
  private static void sortResults(List<Turn> turns) {
    Map<String, Integer> order = new HashMap<>();
    for (Turn turn : turns) {
      if (turn.message instanceof AssistantMessage answer && !answer.toolCalls().isEmpty()) {
        order.clear();
        List<ToolCall> calls = answer.toolCalls();
        for (int i = 0; i < calls.size(); i++) {
          if (!calls.get(i).id().isEmpty()) {
            order.put(calls.get(i).id(), i);
          }
        }
      }
      Iterator<ChatMessage> sorted =
          turn.blocks.stream()
              .filter(ToolMessage.class::isInstance)
              .sorted(Comparator.comparingInt(block -> place(block, order)))
              .iterator();
      turn.blocks.replaceAll(block -> block instanceof ToolMessage ? sorted.next() : block);
    }
  }

  private static int place(ChatMessage block, Map<String, Integer> order) {
    String id = block instanceof ToolMessage result ? result.toolCallId() : null;
    return id == null ? 0 : order.getOrDefault(id, 0);
  }

  private static int lastUser(List<Turn> turns) {
    int last = turns.size() - 1;
    while (last >= 0 && !turns.get(last).asks()) {
      last--;
    }
    return last;
  }

  /** Writes all turns; returns whether the prompt ends inside reasoning. */
  boolean write() {
    for (int i = 0; i < turns.size(); i++) {
      open = false;
      Turn turn = turns.get(i);
      if (turn.isUser()) {
        writeBlocks(turn.blocks);
      } else {
        writeMessage(turn.message, i);
      }
      writeTransition(turn, i);
    }
    return open;
  }

  private void writeMessage(ChatMessage message, int i) {
    switch (message) {
      case SystemMessage system -> {
        out.text(system.content());
        if (i == 0) {
          writeRules(conversation.tools(), conversation.responseFormatJson());
        }
      }
      case DeveloperMessage developer -> {
        PromptParts.requireContent(developer);
        out.control(USER).text(developer.content());
        writeRules(developer.tools(), developer.responseFormatJson());
      }
      case ReminderMessage reminder -> out.control(REMINDER).text(reminder.content());
      case AssistantMessage answer -> writeAnswer(answer, i);
      case UserMessage ignored -> throw new IllegalStateException("must be a block");
      case ToolMessage ignored -> throw new IllegalStateException("must be a block");
      case TaskMessage ignored -> throw new IllegalStateException("must be part of a turn");
    }
  }

  private void writeBlocks(List<ChatMessage> blocks) {
    out.control(USER);
    for (int i = 0; i < blocks.size(); i++) {
      out.text(i == 0 ? "" : "\n\n");
      switch (blocks.get(i)) {
        case UserMessage user -> out.text(user.content());
        case ToolMessage result -> out.text("<tool_result>" + result.content() + "</tool_result>");
        default -> throw new IllegalStateException("must be a text or a result");
      }
    }
  }

  private void writeRules(List<ToolDefinition> tools, @Nullable String responseFormat) {
    Dsml.V4.writeTools(tools, out);
    if (responseFormat != null) {
      Dsml.writeResponseFormat(responseFormat, out);
    }
  }

  private void writeAnswer(AssistantMessage answer, int i) {
    boolean answersTask = i > 0 && turns.get(i - 1).task != null;
    if (options.thinking() && !answersTask && (!drop || i > lastUser)) {
      out.text(answer.reasoning() == null ? "" : answer.reasoning()).control(END_THINK);
    }
    out.text(answer.text());
    Dsml.V4.writeCalls(answer.toolCalls(), out);
    out.control(END);
  }

  /** Hands over to the model, or to the answer or the reminder that follows. */
  private void writeTransition(Turn turn, int i) {
    boolean last = i + 1 == turns.size();
    if (!last && !isAnswerOrReminder(turns.get(i + 1).message)) {
      return;
    }
    if (turn.task != null) {
      if (turn.task == Task.ACTION) {
        out.control(ASSISTANT).control(options.thinking() ? THINK : END_THINK);
      }
      out.control(turn.task.token());
    } else if (turn.asks() && (!last || options.generationPrompt())) {
      open = options.thinking() && (!drop || i >= lastUser);
      out.control(ASSISTANT).control(open ? THINK : END_THINK);
    }
  }

  private static boolean isAnswerOrReminder(ChatMessage message) {
    return message instanceof AssistantMessage || message instanceof ReminderMessage;
  }
}
