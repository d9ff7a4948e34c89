package dev.fathom.text;

import java.util.List;

/**
 * Receives a prompt piece by piece: control tokens and text are never mixed up, since each has its
 * own method.
 */
sealed interface PromptWriter {
  /** The tags around reasoning. */
  List<String> TAGS = List.of(ControlTokens.THINK, ControlTokens.END_THINK);

  /**
   * Writes one of {@link ControlTokens}; as text where the tokenizer has no such token, which
   * encoders allow for tokens that a family's checkpoints do not all have.
   */
  PromptWriter control(String token);

  /** Writes text of messages, tools or the family's scaffolding: never a control token. */
  PromptWriter text(String text);

  /**
   * Writes the start of an answer, which the application puts into the model's mouth: text, but its
   * think tags are control tokens where the tokenizer has them.
   */
  default PromptWriter prefix(String start) {
    String rest = start;
    Marks.Found tag = Marks.first(new StringBuilder(rest), TAGS);
    while (tag != null) {
      text(rest.substring(0, tag.start())).control(tag.mark());
      rest = rest.substring(tag.start() + tag.mark().length());
      tag = Marks.first(new StringBuilder(rest), TAGS);
    }
    return text(rest);
  }

  /** Writes the prompt as text. */
  final class Rendering implements PromptWriter {
    private final StringBuilder out = new StringBuilder();

    @Override
    public PromptWriter control(String token) {
      out.append(token);
      return this;
    }

    @Override
    public PromptWriter text(String text) {
      out.append(text);
      return this;
    }

    @Override
    public String toString() {
      return out.toString();
    }
  }

  /**
   * Writes the prompt as token ids. Texts that meet are encoded as one, as they would be in the
   * rendered prompt.
   */
  final class Encoding implements PromptWriter {
    private final Tokenizer tokenizer;
    private final TokenIds ids = new TokenIds(256);
    private final StringBuilder text = new StringBuilder();

    Encoding(Tokenizer tokenizer) {
      this.tokenizer = tokenizer;
    }

    @Override
    public PromptWriter control(String token) {
      int id = tokenizer.tokenId(token);
      if (!tokenizer.isAdded(id)) {
        return text(token);
      }
      flush();
      ids.add(id);
      return this;
    }

    @Override
    public PromptWriter text(String more) {
      text.append(more);
      return this;
    }

    int[] toIds() {
      flush();
      return ids.toArray(0);
    }

    private void flush() {
      if (!text.isEmpty()) {
        ids.addAll(tokenizer.encodeText(text));
        text.setLength(0);
      }
    }
  }
}
