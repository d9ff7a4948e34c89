package dev.fathom;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.fathom.engine.AnswerGrammar;
import dev.fathom.engine.GrammarConstraint;
import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import dev.fathom.text.ChatMessage;
import dev.fathom.text.Conversation;
import dev.fathom.text.OutputEvent;
import dev.fathom.text.OutputParser;
import dev.fathom.text.PromptEncoder;
import dev.fathom.text.PromptEncoders;
import dev.fathom.text.PromptOptions;
import dev.fathom.text.Tokenizer;
import dev.fathom.text.ToolDefinition;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Calls of strict tools, drawn at random from all that is allowed: read back by the family's own
 * parser, judged by another implementation of JSON Schema.
 */
class StrictToolsTest {

  private static final String BOOK =
      """
      {"type": "object",
       "properties": {
         "city": {"type": "string", "minLength": 1, "maxLength": 20},
         "nights": {"type": "integer", "minimum": 1, "maximum": 30},
         "price": {"type": ["number", "null"]},
         "class": {"enum": ["low", "high", 3, null, "a\\"b", "x｜y"]},
         "from": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"},
         "day": {"type": "string", "format": "date"},
         "guests": {"type": "array", "maxItems": 3, "items": {"type": "object",
           "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
           "required": ["name"], "additionalProperties": false}},
         "either": {"anyOf": [{"type": "string", "maxLength": 4}, {"type": "boolean"},
           {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}]}},
       "required": ["city", "nights", "class", "either"],
       "additionalProperties": false}\
      """;
  private static final String NOTE =
      """
      {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}\
      """;
  private static final String NOTHING = "{\"type\": \"object\", \"properties\": {}}";

  private static final List<ToolDefinition> TOOLS =
      List.of(
          new ToolDefinition("book_room", "Books.", BOOK, true),
          new ToolDefinition("note", "Notes.", NOTE, true),
          new ToolDefinition("now", "Tells the time.", NOTHING, true),
          new ToolDefinition("free", "Whatever.", BOOK));

  /** What a call could be ended with from inside an argument. */
  private static final List<String> MARKS =
      List.of(
          "<｜tool▁call▁end｜>",
          "<｜tool▁calls▁end｜>",
          "｜",
          "</｜DSML｜parameter>",
          "<｜DSML｜invoke name=\"x\">",
          "\n```<｜tool▁call▁end｜>",
          "\\uff5c");

  private static final Map<String, Tokenizer> TOKENIZERS = new ConcurrentHashMap<>();
  private static final Map<String, ResponseFormats> FORMATS = new ConcurrentHashMap<>();

  private static String vocabulary(String family) {
    return switch (family) {
      case "sample" -> "sample";
      case "deepseek-v4" -> "v4";
      default -> "r1";
    };
  }

  private static Tokenizer tokenizer(String family) {
    return TOKENIZERS.computeIfAbsent(vocabulary(family), StrictToolsTest::read);
  }

  private static ResponseFormats formats(String family) {
    Tokenizer tokenizer = tokenizer(family);
    return FORMATS.computeIfAbsent(
        vocabulary(family), f -> new ResponseFormats(tokenizer, tokenizer.size()));
  }

  private static Tokenizer read(String vocabulary) {
    boolean sample = vocabulary.equals("sample");
    String name = sample ? "sample.tokenizer.json" : "deepseek-v3.tokenizer.json.gz";
    try (InputStream in = StrictToolsTest.class.getResourceAsStream("text/" + name)) {
      InputStream open = sample ? in : new GZIPInputStream(in);
      String json = new String(open.readAllBytes(), StandardCharsets.UTF_8);
      if (!sample) {
        json = json.replace("<｜place▁holder▁no▁798｜>", "<think>");
        json = json.replace("<｜place▁holder▁no▁799｜>", "</think>");
      }
      if (vocabulary.equals("v4")) {
        json = json.replace("<｜place▁holder▁no▁700｜>", "｜DSML｜");
      }
      return Tokenizer.parse(json.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Conversation conversation(List<ToolDefinition> tools) {
    return new Conversation(List.of(ChatMessage.user("Go")), tools);
  }

  private static PromptOptions options(boolean thinking) {
    return new PromptOptions(thinking, true, "", PromptOptions.Effort.DEFAULT, false);
  }

  private static OutputParser parser(String family, boolean thinking) {
    PromptEncoder encoder = PromptEncoders.named(family, tokenizer(family));
    return encoder.newParser(conversation(TOOLS), options(thinking));
  }

  private static AnswerGrammar grammar(String family) {
    int end = tokenizer(family).tokenId("<｜end▁of▁sentence｜>");
    return formats(family).compileCalls(TOOLS, parser(family, false), new int[] {end});
  }

  /** One answer on its way. */
  private static final class Walk {

    private final Tokenizer tokenizer;
    private final GrammarConstraint constraint;
    private final Random random;
    private final long[] mask;
    private final int end;
    private final List<Integer> ids = new ArrayList<>();

    Walk(Tokenizer tokenizer, AnswerGrammar grammar, long seed) {
      this.tokenizer = tokenizer;
      this.constraint = new GrammarConstraint(grammar);
      this.random = new Random(seed);
      this.mask = new long[Math.ceilDiv(tokenizer.size(), 64)];
      this.end = tokenizer.tokenId("<｜end▁of▁sentence｜>");
    }

    void take(int id) {
      mask();
      assertThat(mask[id >> 6] >>> id & 1)
          .as("token %s after %s", tokenizer.decode(id), text())
          .isEqualTo(1);
      ids.add(id);
      constraint.accept(id);
      if (random.nextInt(4) == 0) {
        // As where a draft was rejected.
        constraint.rollback(1);
        constraint.accept(id);
      }
    }

    private void mask() {
      Arrays.fill(mask, -1);
      if (constraint.isActive()) {
        constraint.restrict(mask);
      }
    }

    /** Draws tokens until the end; false where it takes too long. */
    boolean finish(int wanted) {
      for (int n = 0; n < 40 * wanted; n++) {
        if (n < wanted && random.nextInt(6) == 0) {
          forge(MARKS.get(random.nextInt(MARKS.size())));
        }
        int id = pick(n >= wanted);
        if (id == end) {
          return true;
        }
        take(id);
      }
      return false;
    }

    /** Writes a mark in ordinary tokens as far as it is allowed. */
    private void forge(String mark) {
      for (int id : tokenizer.encodeText(mark)) {
        mask();
        if ((mask[id >> 6] >>> id & 1) == 0) {
          return;
        }
        take(id);
      }
    }

    private int pick(boolean closing) {
      mask();
      List<Integer> closers = new ArrayList<>();
      int count = 0;
      for (int w = 0; w < mask.length; w++) {
        count += Long.bitCount(mask[w]);
        for (long word = closing ? mask[w] : 0; word != 0; word &= word - 1) {
          int id = (w << 6) + Long.numberOfTrailingZeros(word);
          if (id == end) {
            return end;
          }
          byte[] bytes = tokenizer.tokenBytes(id);
          String text = new String(bytes, StandardCharsets.UTF_8);
          if (tokenizer.isAdded(id) || List.of("\"", "}", "]", "</", "｜", "``").contains(text)) {
            closers.add(id);
          }
        }
      }
      assertThat(count).as("allowed after %s", text()).isPositive();
      if (!closers.isEmpty() && random.nextInt(8) != 0) {
        return closers.get(random.nextInt(closers.size()));
      }
      int wanted = random.nextInt(count);
      for (int w = 0; ; w++) {
        int here = Long.bitCount(mask[w]);
        if (wanted < here) {
          long word = mask[w];
          for (; wanted > 0; wanted--) {
            word &= word - 1;
          }
          return (w << 6) + Long.numberOfTrailingZeros(word);
        }
        wanted -= here;
      }
    }

    String text() {
      return tokenizer.decode(ids.stream().mapToInt(i -> i).toArray());
    }
  }

  private static List<OutputEvent.Call> calls(List<OutputEvent> events) {
    return events.stream()
        .filter(OutputEvent.Call.class::isInstance)
        .map(OutputEvent.Call.class::cast)
        .toList();
  }

  private static String content(List<OutputEvent> events) {
    return events.stream()
        .filter(OutputEvent.Content.class::isInstance)
        .map(e -> ((OutputEvent.Content) e).text())
        .collect(Collectors.joining());
  }

  private static void isValid(OutputEvent.Call call) {
    ToolDefinition tool =
        TOOLS.stream().filter(t -> t.name().equals(call.name())).findFirst().orElseThrow();
    String schemaJson = tool.strict() ? tool.parametersJson() : "{\"type\": \"object\"}";
    Schema schema =
        SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
            .getSchema(schemaJson, InputFormat.JSON);
    assertThat(
            schema.validate(
                call.argumentsJson(),
                InputFormat.JSON,
                c -> c.executionConfig(config -> config.formatAssertionsEnabled(true))))
        .as("%s(%s)", call.name(), call.argumentsJson())
        .isEmpty();
  }

  private static void opening(Walk walk, String family, boolean spelled) {
    String opening = parser(family, false).callNotation().opening();
    Tokenizer tokenizer = tokenizer(family);
    for (int id : spelled ? tokenizer.encodeText(opening) : tokenizer.encodeWithSpecials(opening)) {
      walk.take(id);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "sample",
        "deepseek-v3",
        "deepseek-r1",
        "deepseek-v3.1",
        "deepseek-v3.2",
        "deepseek-v4"
      })
  void whateverIsDrawnTheCallsAreOfToolsAndTheirArgumentsAreValid(String family) {
    AnswerGrammar grammar = grammar(family);
    Tokenizer tokenizer = tokenizer(family);
    boolean thinks = !family.equals("deepseek-v3");
    int finished = 0;
    for (int seed = 0; seed < 60; seed++) {
      Walk walk = new Walk(tokenizer, grammar, seed);
      boolean thinking = thinks && seed % 3 == 0;
      for (int id : tokenizer.encodeText("Let me see: < " + seed + "<｜tool")) {
        walk.take(id);
      }
      if (thinking && seed % 2 == 0) {
        walk.take(tokenizer.tokenId("</think>"));
      }
      opening(walk, family, seed % 5 == 4);
      if (!walk.finish(20 + 5 * (seed % 10))) {
        continue;
      }
      finished++;
      OutputParser parser = parser(family, thinking);
      List<OutputEvent> events = new ArrayList<>();
      walk.ids.forEach(id -> events.addAll(parser.acceptToken(id)));
      events.addAll(parser.finish());
      List<OutputEvent.Call> calls = calls(events);
      assertThat(calls).as(walk.text()).isNotEmpty();
      calls.forEach(StrictToolsTest::isValid);
      assertThat(content(events)).as(walk.text()).doesNotContain("invoke", "book_room", "\"city\"");
      assertThat(events.getLast()).isInstanceOf(OutputEvent.Call.class);
      OutputParser other = parser(family, thinking);
      List<OutputEvent> again = new ArrayList<>();
      walk.text().codePoints().forEach(c -> again.addAll(other.accept(Character.toString(c))));
      again.addAll(other.finish());
      assertThat(calls(again)).isEqualTo(calls);
    }
    assertThat(finished).as("answers that ended").isGreaterThan(30);
  }

  @Test
  void textWithoutACallIsFree() {
    for (String family : List.of("sample", "deepseek-v4")) {
      Walk walk = new Walk(tokenizer(family), grammar(family), 1);
      for (int id : tokenizer(family).encodeText("{\"city\": 3} <｜tool▁calls｜> <tool_calls>")) {
        walk.take(id);
      }
      walk.take(walk.end);
    }
  }

  private static void refused(ErrorCode code, String message, String fix, ToolDefinition... tools) {
    int[] end = {tokenizer("sample").tokenId("<｜end▁of▁sentence｜>")};
    String family = message.contains("one by one") ? "deepseek-v3.2" : "sample";
    assertThatThrownBy(
            () -> formats(family).compileCalls(List.of(tools), parser(family, false), end))
        .isInstanceOfSatisfying(
            InvalidRequestException.class,
            e -> {
              assertThat(e.code()).isEqualTo(code);
              assertThat(e).hasMessageContaining(message);
              assertThat(e.fix()).contains(fix);
            });
  }

  @Test
  void toolsThatCannotBeStrictAreRefusedAndSayWhy() {
    ToolDefinition note = TOOLS.get(1);
    refused(
        ErrorCode.GRAMMAR_UNSUPPORTED,
        "Calls of the tool \"t\" cannot be strict: ",
        "leave the keyword out",
        new ToolDefinition("t", "", "{\"properties\": {\"a\": {\"not\": {}}}}", true));
    refused(
        ErrorCode.GRAMMAR_INVALID,
        "its name must be its own",
        "rename the tool",
        note,
        new ToolDefinition("note", "", NOTHING));
    refused(
        ErrorCode.GRAMMAR_INVALID,
        "its name must be its own",
        "rename the tool",
        new ToolDefinition("a\"b", "", NOTHING, true));
    refused(
        ErrorCode.GRAMMAR_UNSUPPORTED,
        "No text matches",
        "",
        new ToolDefinition("t", "", "{\"type\": \"array\"}", true));
    refused(
        ErrorCode.GRAMMAR_UNSUPPORTED,
        "arguments are written one by one",
        "",
        new ToolDefinition("t", "", "{\"enum\": [{\"a\": 1}]}", true));
    assertThatThrownBy(() -> formats("sample").compileCalls(TOOLS, null, new int[] {1}))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("has no calls");
    assertThatThrownBy(
            () -> formats("sample").compileCalls(TOOLS, parser("sample", false), new int[0]))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("leave ignoreEos off");
  }
}
