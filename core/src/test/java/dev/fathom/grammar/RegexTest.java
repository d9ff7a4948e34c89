package dev.fathom.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.GenerationException;
import dev.fathom.error.InvalidRequestException;
import java.util.List;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Regular expressions against the JDK's, on texts that nearly match. */
class RegexTest {

  private static final List<String> PATTERNS =
      List.of(
          "a*b+c?",
          "(ab|a)(bc|c)?",
          "[a-c]{2,4}",
          "[^a]{1,3}b",
          "a{0}b",
          "(a|b)*a(a|b){3}",
          "x{2,}y{0,2}",
          "\\d+\\.\\d{1,2}|-?\\d",
          "\\w\\W\\s?",
          "(?:a(?<name>b))+?c*?",
          "[\\]\\-\\\\a-]+",
          "[a\\d-]+",
          "\\u0061\\x62\\u{63}",
          "a{,2}|a{b}|{|}|]",
          "(|a)(b|)",
          "[^\\s\\S]|a",
          ".{2}",
          "^ab$|^b",
          "(^a|b)c",
          "a(b$|c)",
          "\\p{Lu}\\p{L}*[\\P{L}]?",
          "\\p{Script=Greek}+",
          "[äé你]|😀+",
          "((a*)*)*b",
          "(a?){4}a{4}",
          "\\/\\.\\*\\+\\?\\(\\)\\[\\]\\{\\}\\^\\$\\|");

  private static final String ALPHABET = "aaabbbccxy09.-_ \n\t]\\{}|/*+?()[^$äé你😀αΩZ,";

  private static String random(Random random) {
    int[] points = ALPHABET.codePoints().toArray();
    StringBuilder text = new StringBuilder();
    for (int n = random.nextInt(9); n > 0; n--) {
      text.appendCodePoint(points[random.nextInt(points.length)]);
    }
    return text.toString();
  }

  /** The JDK writes two things otherwise than ECMA-262. */
  private static Pattern jdk(String pattern) {
    String braces = pattern.replace("a{,2}|a{b}|{|}", "a\\{,2\\}|a\\{b\\}|\\{|\\}");
    return Pattern.compile(braces.replace("\\u{", "\\x{"));
  }

  private static CompiledGrammar compile(String pattern) {
    return new Grammars(Vocabularies.small()).compile(new GrammarSource.Regex(pattern));
  }

  @Test
  void aTextIsAcceptedExactlyIfTheJdkMatchesAllOfIt() {
    Random random = new Random(1);
    for (String pattern : PATTERNS) {
      CompiledGrammar grammar = compile(pattern);
      Pattern jdk = jdk(pattern);
      int matches = 0;
      for (int i = 0; i < 4000; i++) {
        String text = i % 3 == 0 ? walk(grammar, random) : random(random);
        boolean expected = jdk.matcher(text).matches();
        assertThat(Vocabularies.accepts(grammar, text))
            .as("%s on <%s>", pattern, text)
            .isEqualTo(expected);
        matches += expected ? 1 : 0;
      }
      assertThat(matches).as(pattern).isPositive();
    }
  }

  /** A text that the grammar lets through, cut or spoilt now and then. */
  private static String walk(CompiledGrammar grammar, Random random) {
    String text = Walks.text(grammar, random, 12);
    return random.nextInt(4) == 0 && !text.isEmpty()
        ? text.substring(0, text.offsetByCodePoints(text.length(), -1))
        : text;
  }

  @Test
  void automataOfSearchesAgreeWithTheJdk() {
    Random random = new Random(2);
    for (String pattern : PATTERNS) {
      Budget budget = Budget.ofRequest();
      CharAutomaton found = Patterns.automaton(RegexParser.parse(pattern), true, budget);
      CharAutomaton not = found.complement();
      CharAutomaton both = found.and(CharAutomaton.ofLength(2, 4, budget), budget);
      Pattern jdk = jdk(pattern);
      for (int i = 0; i < 2000; i++) {
        String text = random(random);
        // The JDK lets $ match before a last line end, ECMA-262 does not.
        if (pattern.contains("$") && text.endsWith("\n")) {
          continue;
        }
        boolean expected = jdk.matcher(text).find();
        int length = text.codePointCount(0, text.length());
        assertThat(found.matches(text)).as("%s in <%s>", pattern, text).isEqualTo(expected);
        assertThat(not.matches(text)).isEqualTo(!expected);
        assertThat(both.matches(text)).isEqualTo(expected && length >= 2 && length <= 4);
      }
    }
  }

  @Test
  void hostileExpressionsAreCompiledInTimeOrRefused() {
    for (String pattern :
        List.of(
            "(a|a)*(a|a)*(a|a)*b",
            "(((((((((a*)*)*)*)*)*)*)*)*)*b",
            "(a|b)*a(a|b){18}c",
            "(x+x+)+y",
            "((a{1,30}){1,30}){1,30}",
            "[a-z]{1,100000}",
            "(.*a){40}")) {
      long start = System.nanoTime();
      try {
        GrammarMatcher matcher = compile(pattern).newMatcher();
        for (int i = 0; i < 200 && matcher.accept('a'); i++) {
          matcher.mask();
        }
      } catch (InvalidRequestException e) {
        assertThat(e.code()).isEqualTo(ErrorCode.GRAMMAR_TOO_LARGE);
      } catch (GenerationException e) {
        assertThat(e).hasMessageContaining("too ambiguous");
      }
      assertThat(System.nanoTime() - start).as(pattern).isLessThan(10_000_000_000L);
    }
  }

  @Test
  void whatIsNotRegularIsRefusedWithItsName() {
    String[][] refused = {
      {"a(?=b)", "look-around"},
      {"(?<!a)b", "look-around"},
      {"(a)\\1", "back references"},
      {"\\bfoo", "word boundaries"},
      {"(?i)a", "flags and special groups"},
      {"\\p{Nonsense}", "the Unicode property"}
    };
    for (String[] one : refused) {
      assertThatThrownBy(() -> compile(one[0]))
          .isInstanceOfSatisfying(
              InvalidRequestException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.GRAMMAR_UNSUPPORTED))
          .hasMessageContaining(one[1]);
    }
  }

  @Test
  void malformedExpressionsAreRefusedWithThePlace() {
    for (String pattern :
        List.of(
            "(a",
            "a)",
            "[a",
            "*a",
            "a**",
            "a{2}{3}",
            "a{3,2}",
            "[b-a]",
            "\\",
            "\\q",
            "\\u{110000}",
            "\\xg")) {
      assertThatThrownBy(() -> compile(pattern))
          .as(pattern)
          .isInstanceOfSatisfying(
              InvalidRequestException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.GRAMMAR_INVALID))
          .hasMessageContaining("position=");
    }
  }
}
