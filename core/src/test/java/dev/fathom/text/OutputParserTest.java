package dev.fathom.text;

import static dev.fathom.text.ChatMessage.toolResult;
import static dev.fathom.text.ChatMessage.user;
import static org.assertj.core.api.Assertions.assertThat;

import dev.fathom.text.DeepSeekR1Prompt.OpeningTag;
import dev.fathom.text.DeepSeekR1Prompt.UnclosedReasoning;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Events are written as R(reasoning), C(content) and name#index(arguments); tokens as {begin}.
 *
 * <p>Every case is run whole, cut in two at every place, and in random parts.
 */
class OutputParserTest {
  private static final Conversation QUESTION = Conversation.of(user("U"));
  private static final String[] TOKENS = {
    "{calls}", ControlTokens.CALLS_BEGIN,
    "{/calls}", ControlTokens.CALLS_END,
    "{call}", ControlTokens.CALL_BEGIN,
    "{/call}", ControlTokens.CALL_END,
    "{sep}", ControlTokens.SEPARATOR,
    "{n}", "\n",
    "{D}", ControlTokens.DSML,
  };

  /** The parsers under test. */
  enum Family {
    V3("deepseek-v3", PromptOptions.CHAT),
    R1("deepseek-r1", PromptOptions.THINKING),
    R1_0528("deepseek-r1-0528", PromptOptions.THINKING),
    V31_CHAT("deepseek-v3.1", PromptOptions.CHAT),
    V31_THINKING("deepseek-v3.1", PromptOptions.THINKING),
    V32_CHAT("deepseek-v3.2", PromptOptions.CHAT),
    V4_CHAT("deepseek-v4", PromptOptions.CHAT),
    V4_THINKING("deepseek-v4", PromptOptions.THINKING),
    V2("deepseek-v2", PromptOptions.CHAT);

    final String encoder;
    final PromptOptions options;
    private volatile @Nullable PromptEncoder made;

    Family(String encoder, PromptOptions options) {
      this.encoder = encoder;
      this.options = options;
    }

    OutputParser newParser() {
      PromptEncoder known = made;
      if (known == null) {
        known = PromptEncoders.named(encoder, Tokenizers.of(encoder));
        made = known;
      }
      return known.newParser(QUESTION, options);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        // reasoning
        "V31_CHAT|Hi.|C(Hi.)",
        "V31_CHAT|a<think>b</think>c|C(a)R(b)C(c)",
        "V31_CHAT|<think>b</think>c<think>d|R(b)C(c)R(d)",
        "V31_CHAT|a</think>b|C(a</think>b)",
        "V31_CHAT|a < b <thin <think|C(a < b <thin <think)",
        "V31_THINKING|r</think>c|R(r)C(c)",
        "V31_THINKING|<think>r</think>c|R(r)C(c)",
        "V31_THINKING|r<think>s</think>c|R(r<think>s)C(c)",
        "V31_THINKING|r{n}</think>{n}{n}c|R(r{n})C({n}{n}c)",
        "V31_THINKING|r without end|R(r without end)",
        "V31_THINKING|</think>c|C(c)",
        "V31_THINKING|r</think>c</think>d|R(r)C(c</think>d)",
        "V31_THINKING|r</think>|R(r)",
        "V31_THINKING|``|``",
        "R1|r{n}</think>{n}{n}c{n}|R(r)C(c{n})",
        "R1|r{n}{n}</think>{n}{n}{n}c|R(r{n})C({n}c)",
        "R1|r{n}s</think>c|R(r{n}s)C(c)",
        "R1|r{n}|R(r{n})",
        "R1|<think>{n}r{n}</think>{n}{n}c|R(r)C(c)",
        "R1_0528|<think>{n}r{n}</think>{n}{n}c|R(r)C(c)",
        "R1_0528|r{n}</think>{n}{n}c|R(r)C(c)",
        "R1|never closed|R(never closed)",
        "V3|a<think>b</think>c|C(a<think>b</think>c)",
        // calls
        "V31_CHAT|{calls}{call}f{sep}{`a`: 1}{/call}{/calls}|f#0({`a`: 1})",
        "V31_CHAT|t{calls}{call}f{sep}{}{/call}{call}g{sep}{ }{/call}{/calls}|C(t)f#0({})g#1({ })",
        "V31_CHAT|{calls}{call}f{sep}{}{/call}{/calls} b|f#0({})C( b)",
        "V31_CHAT|{calls}{call}f{sep}{}{/call}{/calls}{calls}{call}g{sep}{}{/call}{/calls}|f#0({})g#1({})",
        "V31_THINKING|r</think>c{calls}{call}f{sep}{}{/call}{/calls}|R(r)C(c)f#0({})",
        "V31_THINKING|r{calls}{call}f{sep}{}{/call}{/calls}c|R(r)f#0({})C(c)",
        "V31_CHAT|{calls}{call}f{sep}{`a`: `<think>`}{/call}{/calls}|f#0({`a`: `<think>`})",
        "V3|{calls}{call}function{sep}f{n}{fence}json{n}{`a`: 1}{n}{fence}{/call}{/calls}|f#0({`a`: 1})",
        "V3|{calls}{call}function{sep}f{n}{fence}json{n}{}{n}{fence}{/call}{n}{call}function{sep}g{n}{fence}json{n}{}{n}{fence}{/call}{/calls}|f#0({})g#1({})",
        "R1|r{n}</think>{n}{n}{calls}{call}function{sep}f{n}{fence}json{n}{}{n}{fence}{/call}{/calls}|R(r)f#0({})",
        // malformed calls come out as content
        "V31_CHAT|a{calls}{call}f{sep}{`a`: 1}|C(a{calls}{call}f{sep}{`a`: 1})",
        "V31_CHAT|{calls}|C({calls})",
        "V31_CHAT|{calls}{/calls}b|C({calls}{/calls}b)",
        "V31_CHAT|{calls}{call}f{sep}{bad}{/call}{/calls}b|C({calls}{call}f{sep}{bad}{/call}{/calls}b)",
        "V31_CHAT|{calls}{call}f{sep}[1]{/call}{/calls}|C({calls}{call}f{sep}[1]{/call}{/calls})",
        "V31_CHAT|{calls}{call} {sep}{}{/call}{/calls}|C({calls}{call} {sep}{}{/call}{/calls})",
        "V31_CHAT|{calls}{call}f{}{/call}{/calls}|C({calls}{call}f{}{/call}{/calls})",
        "V31_CHAT|{calls}{call}f{sep}{}{/call}{call}g{sep}{bad}{/call}{/calls}|f#0({})C({call}g{sep}{bad}{/call})",
        "V31_CHAT|{calls}{call}x{call}f{sep}{}{/call}{/calls}|C({calls}{call}x)f#0({})",
        "V31_CHAT|{calls}{call}x{calls}{call}f{sep}{}{/call}{/calls}|C({calls}{call}x{calls})f#0({})",
        "V31_CHAT|{calls}{call}x{/calls}y|C({calls}{call}x{/calls}y)",
        "V31_CHAT|{calls}stray {n}{call}f{sep}{}{/call}{/calls}|C({calls}stray {n})f#0({})",
        "V31_CHAT|{calls}{call}f{sep}{}{/call} {n}|f#0({})",
        "V31_CHAT|{calls}{call}f{sep}{}{/call} stray|f#0({})C( stray)",
        "V31_CHAT|{calls}{call}f{sep}{}{/call}{cal|f#0({})C({cal)",
        "V31_CHAT|{/calls}{/call}{sep}|C({/calls}{/call}{sep})",
        "V3|{calls}{call}function{sep}f{n}{`a`: 1}{/call}{/calls}|C({calls}{call}function{sep}f{n}{`a`: 1}{/call}{/calls})",
        "V3|{calls}{call}function{sep}f{n}{fence}json{n}{fence}{/call}{/calls}|C({calls}{call}function{sep}f{n}{fence}json{n}{fence}{/call}{/calls})",
        "V3|{calls}{call}function{sep}f{n}{fence}json{n}{}{/call}{/calls}|C({calls}{call}function{sep}f{n}{fence}json{n}{}{/call}{/calls})",
        "V4_THINKING|r</think>c{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}<{D}parameter name=`b` string=`true`>x `y`</{D}parameter>{n}</{D}invoke>{n}</{D}tool_calls>|R(r)C(c)f#0({`a`: 1, `b`: `x \\`y\\``})",
        "V4_CHAT|c{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}<{D}parameter name=`b` string=`true`>x `y`</{D}parameter>{n}</{D}invoke>{n}</{D}tool_calls>{n}d|C(c)f#0({`a`: 1, `b`: `x \\`y\\``})C({n}d)",
        "V4_CHAT|{n}{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}</{D}invoke>{n}<{D}invoke name=`g`>{n}{n}</{D}invoke>{n}</{D}tool_calls>|C({n})f#0({`a`: 1})g#1({})",
        "V4_CHAT|<{D}tool_calls><{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}</{D}invoke></{D}tool_calls>|f#0({`a`: 1})",
        "V32_CHAT|c{n}{n}<{D}function_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>[1, {}]</{D}parameter>{n}</{D}invoke>{n}</{D}function_calls>|C(c)f#0({`a`: [1, {}]})",
        "V32_CHAT|c{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}<{D}parameter name=`b` string=`true`>x `y`</{D}parameter>{n}</{D}invoke>{n}</{D}tool_calls>|C(c{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}<{D}parameter name=`b` string=`true`>x `y`</{D}parameter>{n}</{D}invoke>{n}</{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`true`><think>{n}{n} {bad</{D}parameter>{n}</{D}invoke>{n}</{D}tool_calls>|f#0({`a`: `<think>\\n\\n {bad`})",
        "V4_THINKING|r{n}{n}<{D}tool_calls>{n}<{D}invoke name=`g`>{n}{n}</{D}invoke>{n}</{D}tool_calls>c|R(r)g#0({})C(c)",
        "V4_CHAT|a{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}|C(a{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n})",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}</{D}invoke>{n}</{D}tool_calls>z|C({n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}<{D}parameter name=`a` string=`false`>1</{D}parameter>{n}</{D}invoke>{n}</{D}tool_calls>z)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>{bad</{D}parameter>{n}</{D}invoke>{n}</{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`false`>{bad</{D}parameter>{n}</{D}invoke>{n}</{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`true`>v<{D}invoke name=`g`>{n}{n}</{D}invoke>{n}</{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`true`>v)g#0({})",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`true`>v</{D}invoke></{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`true`>v</{D}invoke></{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}invoke name=`g`>{n}{n}</{D}invoke>{n}</{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n})g#0({})",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke>{n}</{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}<{D}invoke>{n}</{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=``>{n}</{D}invoke></{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}<{D}invoke name=``>{n}</{D}invoke></{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f{n}`></{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}<{D}invoke name=`f{n}`></{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}x</{D}invoke></{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}x</{D}invoke></{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`maybe`>1</{D}parameter>{n}</{D}invoke></{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}<{D}invoke name=`f`>{n}<{D}parameter name=`a` string=`maybe`>1</{D}parameter>{n}</{D}invoke></{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}{n}</{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}{n}</{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}stray</{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}stray</{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invo</{D}tool_calls>|C({n}{n}<{D}tool_calls>{n}<{D}invo</{D}tool_calls>)",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}|C({n}{n}<{D}tool_calls>{n})",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`g`>{n}{n}</{D}invoke>{n}|g#0({})",
        "V4_CHAT|{n}{n}<{D}tool_calls>{n}<{D}invoke name=`g`>{n}{n}</{D}invoke>{n}stray<{D}invoke name=`h`>{n}{n}</{D}invoke>{n}</{D}tool_calls>|g#0({})C({n}stray)h#1({})",
        "V4_CHAT|a{n}{n}<{D}tool_cal|C(a{n}{n}<{D}tool_cal)",
        "V4_CHAT|a{n}{n}b{n}{n}{n}|C(a{n}{n}b{n}{n}{n})",
        "V2|a<think>b</think>{calls}|C(a<think>b</think>{calls})",
      })
  void answersSplitTheSameWhereverTheyAreCut(Family family, String answer, String events) {
    String text = spelledOut(answer == null ? "" : answer);
    String expected = spelledOut(events == null ? "" : events);
    assertThat(parse(family::newParser, List.of(text))).isEqualTo(expected);
    for (int cut = 0; cut <= text.length(); cut++) {
      List<String> parts = List.of(text.substring(0, cut), text.substring(cut));
      assertThat(parse(family::newParser, parts)).as("cut=%d", cut).isEqualTo(expected);
    }
    Random random = new Random(7);
    for (int i = 0; i < 50; i++) {
      List<String> parts = cut(text, random);
      assertThat(parse(family::newParser, parts)).as("%s", parts).isEqualTo(expected);
    }
  }

  static String spelledOut(String text) {
    String out = text.replace("{fence}", "```").replace('`', '"').replace("\"\"\"", "```");
    for (int i = 0; i < TOKENS.length; i += 2) {
      out = out.replace(TOKENS[i], TOKENS[i + 1]);
    }
    return out;
  }

  static List<String> cut(String text, Random random) {
    List<String> parts = new ArrayList<>();
    int from = 0;
    while (from < text.length()) {
      int to = Math.min(text.length(), from + 1 + random.nextInt(random.nextBoolean() ? 3 : 20));
      parts.add(text.substring(from, to));
      from = to;
    }
    return parts;
  }

  static String parse(Supplier<OutputParser> parsers, List<String> parts) {
    OutputParser parser = parsers.get();
    List<OutputEvent> events = new ArrayList<>();
    parts.forEach(part -> events.addAll(parser.accept(part)));
    events.addAll(parser.finish());
    return text(events);
  }

  static String text(List<OutputEvent> events) {
    StringBuilder out = new StringBuilder();
    char kind = 0;
    for (OutputEvent event : events) {
      char next =
          switch (event) {
            case OutputEvent.Reasoning ignored -> 'R';
            case OutputEvent.Content ignored -> 'C';
            case OutputEvent.Call ignored -> 'T';
          };
      if (kind != 0 && (next != kind || kind == 'T')) {
        out.append(')');
      }
      if (next != kind || next == 'T') {
        out.append(next == 'T' ? "" : next + "(");
      }
      out.append(
          switch (event) {
            case OutputEvent.Reasoning r -> r.text();
            case OutputEvent.Content c -> c.text();
            case OutputEvent.Call t -> t.name() + "#" + t.index() + "(" + t.argumentsJson();
          });
      kind = next;
    }
    return kind == 0 ? "" : out.append(')').toString();
  }

  @ParameterizedTest
  @EnumSource
  void randomMixesOfMarksNeverThrowLoseNothingButMarksAndDoNotDependOnCuts(Family family) {
    String[] words = {
      "<think>",
      "</think>",
      "{calls}",
      "{/calls}",
      "{call}",
      "{/call}",
      "{sep}",
      "f",
      "{}",
      " ",
      "\n",
      "{\"a\": 1}",
      "x",
      "<",
      "<｜tool",
      "\n```json\n",
      "\n```",
      "function",
      "<{D}tool_calls>",
      "</{D}tool_calls>",
      "\n\n<{D}tool_calls>\n<{D}invoke name=\"f\">\n",
      "<{D}invoke name=\"f\">\n",
      "</{D}invoke>",
      "<{D}parameter name=\"a\" string=\"true\">",
      "<{D}parameter name=\"b\" string=\"false\">",
      "</{D}parameter>",
    };
    Random random = new Random(11);
    for (int i = 0; i < 3000; i++) {
      StringBuilder mix = new StringBuilder();
      for (int n = random.nextInt(14); n >= 0; n--) {
        mix.append(words[random.nextInt(words.length)]);
      }
      String text = spelledOut(mix.toString());
      String whole = parse(family::newParser, List.of(text));
      assertThat(parse(family::newParser, cut(text, random))).as("%s", mix).isEqualTo(whole);
      assertThat(parse(family::newParser, List.of(text.split("")))).as("%s", mix).isEqualTo(whole);
      assertThat(count(whole, 'x')).as("%s", mix).isEqualTo(count(text, 'x'));
    }
  }

  @Test
  void aMarkedUpCallThatNeverEndsIsGivenUpAtItsLimitHoweverItIsCut() {
    String start = spelledOut("\n\n<{D}tool_calls>\n");
    String call = spelledOut("<{D}invoke name=\"f\">\n<{D}parameter name=\"a\" string=\"true\">");
    String end = spelledOut("</{D}parameter>\n</{D}invoke>\n</{D}tool_calls>");
    String text = start + call + "y".repeat(CallBlock.MAX_CALL_LEN) + end;
    List<String> parts = new ArrayList<>();
    for (int i = 0; i < text.length(); i += 5000) {
      parts.add(text.substring(i, Math.min(text.length(), i + 5000)));
    }
    assertThat(parse(Family.V4_CHAT::newParser, parts).equals("C(" + text + ")")).isTrue();
    assertThat(parse(Family.V4_CHAT::newParser, List.of(text)).equals("C(" + text + ")")).isTrue();
    int fits = CallBlock.MAX_CALL_LEN - call.length() - 40;
    String good = start + call + "y".repeat(fits) + end;
    assertThat(parse(Family.V4_CHAT::newParser, List.of(good))).startsWith("f#0(");
  }

  private static long count(String text, char c) {
    return text.chars().filter(u -> u == c).count();
  }

  @Test
  void everythingButAStartedTagIsGivenOutAtOnce() {
    OutputParser parser = Family.V31_CHAT.newParser();
    assertThat(text(parser.accept("Hello <"))).isEqualTo("C(Hello )");
    assertThat(text(parser.accept("b> <｜tool▁calls▁begi"))).isEqualTo("C(<b> )");
    assertThat(text(parser.accept("x"))).isEqualTo("C(<｜tool▁calls▁begix)");
    assertThat(parser.finish()).isEmpty();
  }

  @Test
  void aCallIsReportedBeforeItsBlockEnds() {
    OutputParser parser = Family.V31_CHAT.newParser();
    assertThat(text(parser.accept(spelledOut("{calls}{call}f{sep}{}{/call}"))))
        .isEqualTo("f#0({})");
  }

  @Test
  void aCallThatNeverEndsIsGivenUpAtItsLimit() {
    String start = spelledOut("{calls}{call}f{sep}{\"a\": \"");
    String long1 = "y".repeat(CallBlock.MAX_CALL_LEN);
    OutputParser parser = Family.V31_CHAT.newParser();
    assertThat(parser.accept(start)).isEmpty();
    List<OutputEvent> events = new ArrayList<>();
    for (int i = 0; i < long1.length(); i += 4096) {
      events.addAll(parser.accept(long1.substring(i, i + 4096)));
    }
    events.addAll(parser.accept(spelledOut("\"}{/call}{/calls}")));
    events.addAll(parser.finish());
    assertThat(text(events)).isEqualTo("C(" + start + long1 + spelledOut("\"}{/call}{/calls})"));
  }

  @Test
  void unclosedReasoningMayCountAsContent() {
    Supplier<OutputParser> parsers =
        () ->
            new DeepSeekR1Prompt(
                    Tokenizers.r1(), OpeningTag.BY_PROMPT, UnclosedReasoning.IS_CONTENT)
                .newParser(QUESTION, PromptOptions.THINKING);
    assertThat(parse(parsers, List.of("no ", "end"))).isEqualTo("C(no end)");
    assertThat(parse(parsers, List.of("r\n</th", "ink>\n\nc"))).isEqualTo("R(r)C(c)");
    assertThat(parsers.get().accept("not yet known")).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"deepseek-v3.1", "deepseek-r1", "sample"})
  void behindToolResultsNoReasoningIsOpen(String family) {
    Tokenizer tokenizer = family.equals("sample") ? Tokenizers.sample() : Tokenizers.r1();
    Conversation results = Conversation.of(user("U"), ChatMessage.calls(), toolResult("T"));
    PromptEncoder encoder = PromptEncoders.named(family, tokenizer);
    assertThat(
            parse(() -> encoder.newParser(results, PromptOptions.THINKING), List.of("plain text")))
        .isEqualTo("C(plain text)");
  }

  @Test
  void aPrefixThatClosesTheReasoningLeavesContent() {
    PromptOptions options = PromptOptions.THINKING.withAssistantPrefix("quick</think>");
    PromptEncoder encoder = PromptEncoders.named("deepseek-v3.1", Tokenizers.r1());
    assertThat(parse(() -> encoder.newParser(QUESTION, options), List.of("c"))).isEqualTo("C(c)");
  }

  @Test
  void tokensGiveTheSameEventsAsTheirText() {
    String answer =
        spelledOut("grüße 你好 🚀</think>c {calls}{call}f{sep}{\"k\": \"é\"}{/call}{/calls}");
    PromptEncoder sample = PromptEncoders.named("sample", Tokenizers.sample());
    for (boolean byId : new boolean[] {true, false}) {
      int[] ids =
          byId
              ? Tokenizers.sample().encodeWithSpecials(answer)
              : Tokenizers.sample().encodeText(answer);
      OutputParser parser = sample.newParser(QUESTION, PromptOptions.THINKING);
      List<OutputEvent> events = new ArrayList<>();
      for (int id : ids) {
        events.addAll(parser.acceptToken(id));
      }
      events.addAll(parser.acceptToken(sample.endId()));
      events.addAll(parser.finish());
      assertThat(text(events)).isEqualTo("R(grüße 你好 🚀)C(c )f#0({\"k\": \"é\"})");
    }
  }
}
