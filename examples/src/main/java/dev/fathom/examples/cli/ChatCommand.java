package dev.fathom.examples.cli;

import dev.fathom.DeepSeekModel;
import dev.fathom.Generation;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonWriter;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Answers one question, or converses where no question is given. */
@CommandLine.Command(
    name = "chat",
    sortOptions = false,
    description = {
      "Answer a question, or converse where none is given.",
      "",
      "A conversation reads lines from the terminal or from standard input; /help lists what else"
          + " can be typed, Ctrl-C stops an answer, Ctrl-D ends. Where standard output is not a"
          + " terminal it gets the answers alone: reasoning and speeds go to standard error.",
      ""
    })
final class ChatCommand implements Command {

  @Parameters(
      arity = "0..1",
      paramLabel = "PROMPT",
      description = "The question; without it a conversation starts.")
  @Nullable String prompt;

  @Mixin ChatOptions chat = new ChatOptions();
  @Mixin ModelOptions model = new ModelOptions();
  @Mixin OutputOptions output = new OutputOptions();

  private final Terminal terminal;

  ChatCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public ExitCode run() {
    chat.check();
    if (prompt != null) {
      return answerOnce(prompt);
    }
    if (output.json && terminal.inIsTerminal()) {
      throw Failure.usage(
          "A conversation at the terminal has no JSON form",
          "--json was given without a prompt",
          "give the prompt as an argument, or pipe lines into standard input");
    }
    try (LineSource lines = LineSource.of(terminal);
        DeepSeekModel loaded = model.loadForChat(terminal)) {
      ChatSession session = new ChatSession(loaded, chat, model.adapterName());
      return new Repl(terminal, lines, session, output.json).run();
    }
  }

  private ExitCode answerOnce(String question) {
    if (question.isBlank()) {
      throw Failure.usage(
          "There is nothing to answer", "the prompt is empty", "give a question in quotes");
    }
    try (DeepSeekModel loaded = model.loadForChat(terminal)) {
      ChatSession session = new ChatSession(loaded, chat, model.adapterName());
      if (output.json) {
        Generation answer = session.ask(question, null);
        terminal.out().println(JsonWriter.python(AnswerReport.json(answer)));
      } else {
        Generation answer = session.ask(question, new AnswerPrinter(terminal));
        AnswerReport.printRates(terminal, answer);
      }
      return ExitCode.OK;
    }
  }
}
