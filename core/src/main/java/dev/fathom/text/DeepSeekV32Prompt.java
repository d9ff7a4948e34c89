package dev.fathom.text;

import static dev.fathom.text.ControlTokens.ASSISTANT;
import static dev.fathom.text.ControlTokens.BEGIN;
import static dev.fathom.text.ControlTokens.END;
import static dev.fathom.text.ControlTokens.END_THINK;
import static dev.fathom.text.ControlTokens.THINK;
import static dev.fathom.text.ControlTokens.USER;

import dev.fathom.text.ChatMessage.AssistantMessage;
import dev.fathom.text.ChatMessage.DeveloperMessage;
import dev.fathom.text.ChatMessage.SystemMessage;
import dev.fathom.text.ChatMessage.ToolMessage;
import dev.fathom.text.ChatMessage.UserMessage;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Prompts of DeepSeek V3.2 and V3.2-Speciale, whose checkpoints carry an encoder in place of a
 * template.
 *
 * <p>Every user message is followed by {@code ASSISTANT} and a tag; calls are {@link Dsml#V32};
 * results follow in one {@code <function_results>} block which ends in a tag again, so that the
 * model may go on reasoning. Earlier reasoning is dropped as soon as a new user message comes, in
 * conversations with tools too. Results must follow their calls in the order of the calls. The
 * token {@code ｜DSML｜} is written as text where the tokenizer does not have it.
 */
public final class DeepSeekV32Prompt implements PromptEncoder {
  private static final String FAMILY = "deepseek-v3.2";

  private final Tokenizer tokenizer;

  /**
   * Creates an encoder.
   *
   * @throws dev.fathom.error.TextException (3004) if the tokenizer lacks a control token
   */
  public DeepSeekV32Prompt(Tokenizer tokenizer) {
    ControlTokens.require(tokenizer, FAMILY, BEGIN, END, USER, ASSISTANT, THINK, END_THINK);
    this.tokenizer = tokenizer;
  }

  @Override
  public String family() {
    return FAMILY;
  }

  @Override
  public String render(Conversation conversation, PromptOptions options) {
    PromptWriter.Rendering out = new PromptWriter.Rendering();
    write(conversation, options, out);
    return out.toString();
  }

  @Override
  public int[] encode(Conversation conversation, PromptOptions options) {
    PromptWriter.Encoding out = new PromptWriter.Encoding(tokenizer);
    write(conversation, options, out);
    return out.toIds();
  }

  @Override
  public OutputParser newParser(Conversation conversation, PromptOptions options) {
    boolean opened =
        PromptParts.isOpen(
            write(conversation, options, new PromptWriter.Rendering()), options.assistantPrefix());
    return new OutputParser(
        tokenizer,
        OutputGrammar.V32,
        opened ? OutputParser.Start.REASONING : OutputParser.Start.CONTENT);
  }

  @Override
  public int beginId() {
    return tokenizer.tokenId(BEGIN);
  }

  @Override
  public int endId() {
    return tokenizer.tokenId(END);
  }

  /** Writes the prompt; returns whether it ends inside reasoning. */
  private static boolean write(Conversation conversation, PromptOptions options, PromptWriter out) {
    boolean open = new Turns(conversation, options, out).write();
    out.prefix(options.assistantPrefix());
    return open;
  }

  /** One conversation on its way into a prompt. */
  private static final class Turns {
    private final Conversation conversation;
    private final PromptOptions options;
    private final PromptWriter out;
    private final List<ChatMessage> messages;
    private final int lastUser;
    private @Nullable AssistantMessage caller;
    private int numResults;
    private boolean open;

    Turns(Conversation conversation, PromptOptions options, PromptWriter out) {
      this.conversation = conversation;
      this.options = options;
      this.out = out;
      boolean drop = options.thinking() && !options.keepReasoning();
      List<ChatMessage> all = PromptParts.withSystemForTools(conversation);
      this.messages = drop ? withoutEarlierDevelopers(all) : all;
      this.lastUser = lastUser(messages);
    }

    private static List<ChatMessage> withoutEarlierDevelopers(List<ChatMessage> all) {
      int last = lastUser(all);
      List<ChatMessage> kept = new ArrayList<>();
      for (int i = 0; i < all.size(); i++) {
        if (i >= last || !(all.get(i) instanceof DeveloperMessage)) {
          kept.add(all.get(i));
        }
      }
      return kept;
    }

    private static int lastUser(List<ChatMessage> messages) {
      int last = messages.size() - 1;
      while (last >= 0
          && !(messages.get(last) instanceof UserMessage)
          && !(messages.get(last) instanceof DeveloperMessage)) {
        last--;
      }
      return last;
    }

    boolean write() {
      out.control(BEGIN);
      for (int i = 0; i < messages.size(); i++) {
        open = false;
        if (!(messages.get(i) instanceof ToolMessage)) {
          requireAllResults(i);
        }
        switch (messages.get(i)) {
          case SystemMessage system -> writeSystem(system, i);
          case UserMessage user -> {
            out.control(USER).text(user.content());
            writeTurn(i);
          }
          case DeveloperMessage developer -> {
            writeDeveloper(developer);
            writeTurn(i);
          }
          case AssistantMessage answer -> writeAnswer(answer, i);
          case ToolMessage result -> writeResult(result, i);
          case ChatMessage.ExtendedMessage other ->
              throw PromptParts.noForm(other.getClass().getSimpleName(), FAMILY);
        }
      }
      if (options.generationPrompt()) {
        requireAllResults(messages.size());
      }
      return open;
    }

    /** The block of results is closed behind the last call's, so that some are none or all. */
    private void requireAllResults(int i) {
      int numCalls = caller == null ? 0 : caller.toolCalls().size();
      if (numResults > 0 && numResults < numCalls) {
        throw PromptParts.invalid(
            "Cannot render the results of tools",
            "there must be one for each of "
                + numCalls
                + " calls in front of message "
                + i
                + ": results="
                + numResults,
            "add the missing results, such as a text that says why there is none");
      }
    }

    private void writeSystem(SystemMessage system, int i) {
      out.text(system.content());
      if (i == 0) {
        writeRules(conversation.tools(), conversation.responseFormatJson());
      }
    }

    private void writeDeveloper(DeveloperMessage developer) {
      PromptParts.requireContent(developer);
      out.control(USER);
      writeRules(developer.tools(), developer.responseFormatJson());
      out.text("\n\n# The user's message is: " + developer.content());
    }

    private void writeRules(List<ToolDefinition> tools, @Nullable String responseFormat) {
      Dsml.V32.writeTools(tools, out);
      if (responseFormat != null) {
        Dsml.writeResponseFormat(responseFormat, out);
      }
    }

    /** Hands over to the model, or to the answer that follows. */
    private void writeTurn(int i) {
      if (isWanted(i)) {
        out.control(ASSISTANT);
        writeTag(i == lastUser);
      }
    }

    private void writeTag(boolean current) {
      open = options.thinking() && current;
      out.control(open ? THINK : END_THINK);
    }

    private boolean isWanted(int i) {
      return options.generationPrompt() || i + 1 < messages.size();
    }

    private void writeAnswer(AssistantMessage answer, int i) {
      if (options.thinking() && i > lastUser) {
        String reasoning = answer.reasoning() == null ? "" : answer.reasoning();
        if (reasoning.isEmpty() && answer.toolCalls().isEmpty()) {
          throw PromptParts.invalid(
              "Cannot render an answer behind the last user message",
              "with thinking on it must have reasoning or tool calls: message=" + i,
              "add its reasoning, or turn thinking off");
        }
        out.text(reasoning).control(END_THINK);
      }
      out.text(answer.text());
      Dsml.V32.writeCalls(answer.toolCalls(), out);
      out.control(END);
      caller = answer;
      numResults = 0;
    }

    private void writeResult(ToolMessage result, int i) {
      boolean follows =
          i > 0
              && (messages.get(i - 1) instanceof ToolMessage
                  || messages.get(i - 1) instanceof AssistantMessage);
      int numCalls = caller == null || !follows ? 0 : caller.toolCalls().size();
      if (numResults == numCalls) {
        throw PromptParts.unasked(i);
      }
      numResults++;
      out.text(numResults == 1 ? "\n\n<function_results>" : "");
      out.text("\n<result>" + result.content() + "</result>");
      if (numResults == numCalls) {
        out.text("\n</function_results>");
        if (isWanted(i)) {
          out.text("\n\n");
          writeTag(i >= lastUser);
        }
      }
    }
  }
}
