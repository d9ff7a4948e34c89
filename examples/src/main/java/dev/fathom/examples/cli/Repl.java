package dev.fathom.examples.cli;

import dev.fathom.Generation;
import dev.fathom.error.FathomException;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads lines and answers each, until the lines end or one says so. A question that fails is
 * reported, and the conversation goes on.
 */
final class Repl {

  private static final String HELP =
      """
      /help    this list
      /reset   forget the conversation
      /exit    end (so does Ctrl-D)
      Ctrl-C   stop the answer that is being given
      Everything else is a question; the arrow keys edit it and bring back earlier ones.\
      """;

  private final Terminal terminal;
  private final LineSource lines;
  private final ChatSession session;
  private final boolean json;
  private final List<JsonValue> answers = new ArrayList<>();
  private ExitCode exitCode = ExitCode.OK;

  Repl(Terminal terminal, LineSource lines, ChatSession session, boolean json) {
    this.terminal = terminal;
    this.lines = lines;
    this.session = session;
    this.json = json;
  }

  /** Converses; returns the code of the last question that failed, if any did. */
  ExitCode run() {
    lines.onInterrupt(session::stop);
    if (terminal.inIsTerminal()) {
      say("Ask something; /help lists the commands.");
    }
    for (@Nullable String line = lines.next(); line != null; line = lines.next()) {
      String text = line.strip();
      if (text.equals("/exit") || text.equals("/quit")) {
        break;
      }
      if (!text.isEmpty()) {
        handle(text);
      }
    }
    if (json) {
      JsonObject document = JsonObject.builder().put("answers", new JsonArray(answers)).build();
      terminal.out().println(JsonWriter.python(document));
    }
    return exitCode;
  }

  private void handle(String text) {
    switch (text) {
      case "/help" -> say(HELP);
      case "/reset" -> {
        session.reset();
        say("The conversation starts anew.");
      }
      default -> {
        if (text.startsWith("/") && !text.contains(" ")) {
          say("There is no command " + AnswerPrinter.harmless(text) + "; /help lists them.");
        } else {
          ask(text);
        }
      }
    }
  }

  /** What is not an answer stays out of a piped output. */
  private void say(String text) {
    if (terminal.outIsTerminal()) {
      terminal.out().println(terminal.dim(text));
    } else {
      terminal.err().println(text);
    }
    terminal.flush();
  }

  private void ask(String question) {
    try {
      if (json) {
        answers.add(withQuestion(question, session.ask(question, null)));
        return;
      }
      Generation answer = session.ask(question, new AnswerPrinter(terminal));
      AnswerReport.printRates(terminal, answer);
      if (terminal.outIsTerminal()) {
        terminal.out().println();
        terminal.flush();
      }
    } catch (FathomException e) {
      ErrorReport report = ErrorReport.of(e);
      report.print(terminal, false);
      exitCode = report.exitCode();
    }
  }

  private static JsonObject withQuestion(String question, Generation answer) {
    JsonObject.Builder document = JsonObject.builder().put("prompt", question);
    AnswerReport.json(answer).fields().forEach(document::put);
    return document.build();
  }
}
