package dev.fathom.examples.cli;

import dev.fathom.error.Text;
import dev.fathom.examples.console.BundledSample;
import dev.fathom.examples.console.ExitCode;
import dev.fathom.examples.console.Failure;
import dev.fathom.examples.console.Table;
import dev.fathom.examples.console.Table.Align;
import dev.fathom.examples.console.Terminal;
import dev.fathom.json.JsonArray;
import dev.fathom.json.JsonNumber;
import dev.fathom.json.JsonObject;
import dev.fathom.json.JsonString;
import dev.fathom.json.JsonValue;
import dev.fathom.json.JsonWriter;
import dev.fathom.text.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Shows the tokens of a text, or the text of tokens. Reads tokenizer.json and nothing else. */
@CommandLine.Command(
    name = "tokenize",
    sortOptions = false,
    description = {
      "Show the token ids of a text and their pieces, or with --decode the text of ids.",
      "",
      "Control tokens in the text are taken as plain text unless --specials is given.",
      ""
    })
final class TokenizeCommand implements Command {

  @Parameters(
      arity = "0..1",
      paramLabel = "TEXT",
      description = "The text, or with --decode ids such as 0,17,5; without it, standard input.")
  @Nullable String text;

  @Option(
      names = {"-d", "--decode"},
      description = "Turn ids into text.")
  boolean decode;

  @Option(
      names = "--specials",
      description = "Recognise control tokens such as <｜User｜> in the text.")
  boolean specials;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "PATH",
      description = "Folder of the checkpoint or its tokenizer.json; default: the bundled sample.")
  @Nullable Path model;

  @Mixin OutputOptions output = new OutputOptions();

  private final Terminal terminal;

  TokenizeCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public ExitCode run() {
    Tokenizer tokenizer = Tokenizer.load(tokenizerFile());
    String input = text == null ? InputText.read(terminal) : text;
    if (decode) {
      decode(tokenizer, IdList.parse("the argument", input));
    } else {
      encode(tokenizer, input);
    }
    return ExitCode.OK;
  }

  private Path tokenizerFile() {
    Path path = model == null ? BundledSample.checkpoint() : model;
    return Files.isDirectory(path) || !Files.exists(path) ? path.resolve("tokenizer.json") : path;
  }

  private void encode(Tokenizer tokenizer, String input) {
    int[] ids = specials ? tokenizer.encodeWithSpecials(input) : tokenizer.encodeText(input);
    if (output.json) {
      List<JsonValue> pieces =
          Arrays.stream(ids)
              .mapToObj(id -> (JsonValue) new JsonString(piece(tokenizer, id)))
              .toList();
      JsonObject document =
          JsonObject.builder().put("ids", ids(ids)).put("pieces", new JsonArray(pieces)).build();
      terminal.out().println(JsonWriter.python(document));
      return;
    }
    Table table = new Table(Align.RIGHT, Align.LEFT);
    table.row("id", "piece");
    for (int id : ids) {
      table.row(Integer.toString(id), Text.quote(piece(tokenizer, id)));
    }
    terminal.out().print(table);
    terminal.out().println(ids.length + (ids.length == 1 ? " token" : " tokens"));
  }

  /** Returns the text of a token, its bytes as hexadecimal digits where they are no whole text. */
  private static String piece(Tokenizer tokenizer, int id) {
    String text = tokenizer.decode(id);
    if (text.indexOf('\uFFFD') < 0) {
      return text;
    }
    return "<0x" + HexFormat.of().withUpperCase().formatHex(tokenizer.tokenBytes(id)) + ">";
  }

  private void decode(Tokenizer tokenizer, int[] ids) {
    for (int id : ids) {
      if (id >= tokenizer.size()) {
        throw Failure.usage(
            "The token ids cannot be decoded",
            "a token id must be < " + tokenizer.size() + ": id=" + id,
            "use ids of this model's vocabulary");
      }
    }
    String decoded = tokenizer.decode(ids);
    if (output.json) {
      JsonObject document = JsonObject.builder().put("ids", ids(ids)).put("text", decoded).build();
      terminal.out().println(JsonWriter.python(document));
    } else {
      terminal.out().println(terminal.outIsTerminal() ? AnswerPrinter.harmless(decoded) : decoded);
    }
  }

  private static JsonArray ids(int[] ids) {
    return new JsonArray(Arrays.stream(ids).mapToObj(id -> (JsonValue) JsonNumber.of(id)).toList());
  }
}
