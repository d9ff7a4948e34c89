package dev.fathom.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.error.ErrorCode;
import dev.fathom.error.InvalidRequestException;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Grammars in GBNF. */
class GbnfTest {

  private static CompiledGrammar compile(String source) {
    return new Grammars(Vocabularies.small()).compile(new GrammarSource.Gbnf(source));
  }

  private static void accepts(String grammar, String... texts) {
    CompiledGrammar compiled = compile(grammar);
    for (String text : texts) {
      assertThat(Vocabularies.accepts(compiled, text)).as("%s on <%s>", grammar, text).isTrue();
    }
  }

  private static void refuses(String grammar, String... texts) {
    CompiledGrammar compiled = compile(grammar);
    for (String text : texts) {
      assertThat(Vocabularies.accepts(compiled, text)).as("%s on <%s>", grammar, text).isFalse();
    }
  }

  @Test
  void theNotationMeansWhatLlamaCppSays() {
    String lists =
        """
        # a list
        root ::= item ("," " "? item)*   # of items
        item ::= [a-z]+ |
                 "\\"" [^"\\\\]{0,3} "\\"" | num
        num  ::= "-"? [0-9]{1,2} ("." [0-9]{2})?
        """;
    accepts(lists, "a", "abc, \"x\u00e9y\",-12.34", "\"\"");
    refuses(lists, "", "a,", "a,  b", "\"abcd\"", "123", "1.2", "A");
    accepts("root ::= \"\\x41\\u00e9\\U0001F600\\n\" .", "A\u00e9\uD83D\uDE00\nz");
    accepts("root ::= [a\\-\\]^]* 'x' ;", "a-]^x");
    accepts("root ::= a{2,} a{,1}\na ::= \"a\"", "aa", "aaaa");
  }

  @Test
  void recursionWithoutEndIsFollowedAndLeftRecursionRefused() {
    String nested = "root ::= \"(\" root \")\" root | \"\"";
    accepts(nested, "", "()", "(())()", "(".repeat(90) + ")".repeat(90));
    refuses(nested, "(", ")(", "(()");
    assertThatThrownBy(() -> compile("root ::= e\ne ::= e \"+\" t | t\nt ::= [0-9]"))
        .isInstanceOfSatisfying(
            InvalidRequestException.class,
            e -> assertThat(e.code()).isEqualTo(ErrorCode.GRAMMAR_UNSUPPORTED))
        .hasMessageContaining("\"e\"");
    assertThatThrownBy(() -> compile("root ::= n root \"x\" | \"y\"\nn ::= \"\" | \"a\""))
        .hasMessageContaining("left-recursive");
  }

  @Test
  void aGrammarThatMatchesNothingIsRefused() {
    assertThatThrownBy(() -> compile("root ::= \"a\" root"))
        .hasMessageContaining("No text matches");
  }

  @Test
  void malformedGrammarsAreRefusedWithLineAndColumn() {
    for (String source :
        List.of(
            "",
            "rot ::= \"a\"",
            "root ::= missing",
            "root ::= \"a",
            "root ::= [a",
            "root ::= (\"a\"",
            "root ::= \"a\" )",
            "root := \"a\"",
            "root ::= \"a\"{2,1}",
            "root ::= \"\\q\"",
            "root ::= \"a\"\nroot ::= \"b\"")) {
      assertThatThrownBy(() -> compile(source))
          .as(source)
          .isInstanceOfSatisfying(
              InvalidRequestException.class,
              e -> assertThat(e.code()).isEqualTo(ErrorCode.GRAMMAR_INVALID))
          .hasMessageContaining("line=");
    }
  }

  @Test
  void countedRepetitionsOfAnySizeAreKept() {
    Random random = new Random(5);
    CompiledGrammar grammar = compile("root ::= ([a-c] [0-9]? \",\"){150,300} \"x\"");
    for (int n : new int[] {0, 149, 150, 151, 299, 300, 301}) {
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < n; i++) {
        text.append((char) ('a' + random.nextInt(3))).append(random.nextBoolean() ? "7," : ",");
      }
      assertThat(Vocabularies.accepts(grammar, text + "x")).isEqualTo(n >= 150 && n <= 300);
    }
  }

  @Test
  void hostileGrammarsAreCompiledInTimeOrRefused() {
    StringBuilder chain = new StringBuilder("root ::= r0\n");
    for (int i = 0; i < 3000; i++) {
      chain.append("r").append(i).append(" ::= r").append(i + 1).append("? r").append(i + 1);
      chain.append("?\n");
    }
    chain.append("r3000 ::= \"a\"\n");
    String doubling = "root ::= a a\na ::= b b\nb ::= c c\nc ::= d d\nd ::= \"x\" | \"\"";
    for (String source :
        List.of(
            chain.toString(),
            doubling,
            "root ::= \"a\" root root | \"a\"",
            "root ::= x{100000}\nx ::= [a-z]{100000}",
            "root ::= ((\"a\"?){1000}){1000}")) {
      long start = System.nanoTime();
      try {
        GrammarMatcher matcher = compile(source).newMatcher();
        for (int i = 0; i < 60 && matcher.accept('a'); i++) {
          matcher.mask();
        }
      } catch (InvalidRequestException e) {
        assertThat(e.code()).isIn(ErrorCode.GRAMMAR_TOO_LARGE, ErrorCode.GRAMMAR_UNSUPPORTED);
      }
      assertThat(System.nanoTime() - start).isLessThan(20_000_000_000L);
    }
  }
}
