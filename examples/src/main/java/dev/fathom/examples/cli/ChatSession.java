package dev.fathom.examples.cli;

import dev.fathom.DeepSeekModel;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.TokenStream;
import dev.fathom.text.ChatMessage;
import dev.fathom.text.ChatMessage.AssistantMessage;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A conversation with a model: keeps what was said, so that the next question can refer to it.
 *
 * <p>One thread asks; {@link #stop} may come from another, such as that of a signal.
 */
final class ChatSession {

  private final DeepSeekModel model;
  private final ChatOptions options;
  private final @Nullable String adapter;
  private final List<ChatMessage> messages = new ArrayList<>();
  private volatile @Nullable TokenStream running;

  /**
   * Starts a conversation.
   *
   * @param adapter name of a loaded adapter, or null
   */
  ChatSession(DeepSeekModel model, ChatOptions options, @Nullable String adapter) {
    this.model = model;
    this.options = options;
    this.adapter = adapter;
    reset();
  }

  /** Forgets everything but the instructions. */
  void reset() {
    messages.clear();
    if (options.system != null) {
      messages.add(ChatMessage.system(options.system));
    }
  }

  /**
   * Asks and keeps question and answer; keeps neither where the model failed or was stopped before
   * it answered.
   *
   * @param printer shows the answer while it comes, null for silence
   */
  Generation ask(String question, @Nullable AnswerPrinter printer) {
    List<ChatMessage> asked = new ArrayList<>(messages);
    asked.add(ChatMessage.user(question));
    Generation answer = answer(request(asked), printer);
    if (!answer.text().isEmpty() || !answer.toolCalls().isEmpty()) {
      messages.add(asked.getLast());
      messages.add(new AssistantMessage(answer.text(), answer.reasoning(), answer.toolCalls()));
    }
    return answer;
  }

  private GenerationRequest request(List<ChatMessage> asked) {
    return options.request(Prompt.chat(asked)).toBuilder().adapter(adapter).build();
  }

  private Generation answer(GenerationRequest request, @Nullable AnswerPrinter printer) {
    try (TokenStream stream = model.stream(request)) {
      running = stream;
      if (printer != null) {
        printer.print(stream);
      }
      return stream.result();
    } finally {
      running = null;
    }
  }

  /** Ends the answer that is being given. */
  void stop() {
    TokenStream stream = running;
    if (stream != null) {
      stream.close();
    }
  }
}
