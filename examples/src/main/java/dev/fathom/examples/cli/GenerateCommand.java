package dev.fathom.examples.cli;

import dev.fathom.DeepSeekModel;
import dev.fathom.Generation;
import dev.fathom.GenerationRequest;
import dev.fathom.Prompt;
import dev.fathom.TokenStream;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonWriter;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Continues a text as it stands, without the form of a conversation. */
@CommandLine.Command(
    name = "generate",
    sortOptions = false,
    description = {
      "Continue a text: the model gets its start token, then the text. With --suffix, fill the"
          + " hole between both texts.",
      ""
    })
final class GenerateCommand implements Command {

  @Parameters(
      arity = "0..1",
      paramLabel = "TEXT",
      description = "The text to continue; without it, standard input.")
  @Nullable String text;

  @Option(
      names = "--suffix",
      paramLabel = "TEXT",
      description = "What follows: the model writes what stands between both texts (Coder, V3).")
  @Nullable String suffix;

  @Mixin SamplingOptions sampling = new SamplingOptions();
  @Mixin ModelOptions model = new ModelOptions();
  @Mixin OutputOptions output = new OutputOptions();

  private final Terminal terminal;

  GenerateCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public ExitCode run() {
    String start = text == null ? InputText.read(terminal) : text;
    Prompt prompt = suffix == null ? Prompt.text(start) : Prompt.fillInTheMiddle(start, suffix);
    GenerationRequest request =
        sampling.request(prompt).toBuilder().adapter(model.adapterName()).build();
    try (DeepSeekModel loaded = model.load(terminal);
        TokenStream stream = loaded.stream(request)) {
      if (output.json) {
        Generation answer = stream.result();
        terminal.out().println(JsonWriter.python(AnswerReport.json(answer)));
      } else {
        new AnswerPrinter(terminal).print(stream);
        AnswerReport.printRates(terminal, stream.result());
      }
    }
    return ExitCode.OK;
  }
}
