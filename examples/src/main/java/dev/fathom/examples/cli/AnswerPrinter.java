package dev.fathom.examples.cli;

import dev.fathom.Token;
import dev.fathom.TokenKind;
import dev.fathom.TokenStream;
import dev.fathom.examples.console.Terminal;
import dev.fathom.text.ToolCall;
import java.io.PrintStream;
import org.jspecify.annotations.Nullable;

/**
 * Prints an answer while it comes.
 *
 * <p>A person sees reasoning, dimmed, then the answer. Where the output is piped, it gets the
 * answer alone, and the reasoning goes to standard error.
 */
final class AnswerPrinter {

  private final Terminal terminal;
  private @Nullable TokenKind kind;
  private boolean lineStarted;

  AnswerPrinter(Terminal terminal) {
    this.terminal = terminal;
  }

  /** Prints everything that the stream gives; a reader that went away ends the generation. */
  void print(TokenStream stream) {
    try {
      for (Token token : stream) {
        print(token);
        if (terminal.out().checkError()) {
          stream.close();
        }
      }
    } finally {
      end();
    }
  }

  private void print(Token token) {
    ToolCall call = token.toolCall();
    if (call != null) {
      write(TokenKind.TOOL_CALL, "[tool call] " + call.name() + " " + call.argumentsJson() + "\n");
    } else if (!token.text().isEmpty() && token.kind() != TokenKind.TOOL_CALL) {
      write(token.kind(), token.text());
    }
  }

  /** Each piece is dimmed by itself, so that a killed process leaves no dimmed terminal behind. */
  private void write(TokenKind next, String text) {
    if (kind != next) {
      end();
      if (kind == TokenKind.REASONING) {
        stream(kind).println();
      }
      kind = next;
    }
    String shown = terminal.outIsTerminal() ? harmless(text) : text;
    stream(next).print(next == TokenKind.REASONING ? terminal.dim(shown) : shown);
    stream(next).flush();
    lineStarted = !shown.endsWith("\n");
  }

  private void end() {
    if (kind != null && lineStarted) {
      stream(kind).println();
      lineStarted = false;
    }
    terminal.flush();
  }

  private PrintStream stream(TokenKind of) {
    return of == TokenKind.REASONING && !terminal.outIsTerminal() ? terminal.err() : terminal.out();
  }

  /** Keeps a model from moving a person's cursor: control characters become U+FFFD. */
  static String harmless(String text) {
    StringBuilder out = new StringBuilder(text.length());
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean plain = c == '\n' || c == '\t' || !Character.isISOControl(c);
      out.append(plain ? c : '\uFFFD');
    }
    return out.toString();
  }
}
