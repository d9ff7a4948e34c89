package dev.fathom.grammar;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Masks against the plain question, token by token, and what a matcher remembers. */
class GrammarMatcherTest {

  private static final List<GrammarSource> SOURCES =
      List.of(
          new GrammarSource.AnyObject(JsonGap.FLEXIBLE),
          new GrammarSource.AnyObject(JsonGap.NONE),
          new GrammarSource.Regex("(ab|abc|a你)*[0-9]{2,5}(e\\+)?x?"),
          new GrammarSource.Regex("[^a]{0,300}a.*"),
          new GrammarSource.OneOf(List.of("yes", "no", "yes, no", "abc", "ab,c")),
          new GrammarSource.Gbnf(
              "root ::= t (\"+\" t)*\nt ::= \"1\" | \"(\" root \")\" | [0-9]{200,400}"),
          new GrammarSource.Gbnf("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"ab\" | \"\""),
          new GrammarSource.Gbnf("root ::= x x x\nx ::= y? \"a\"? \n y ::= \"b\" x | \"ab\""),
          schema(
              """
              {"type":"object","properties":{"name":{"type":"string","maxLength":5},
               "a":{"type":"array","items":{"$ref":"#"},"maxItems":90},
               "abc":{"type":"number","minimum":-1,"maximum":120}},"required":["a"]}\
              """),
          schema("{\"type\":\"string\",\"minLength\":130,\"maxLength\":140}"),
          schema("{\"type\":\"string\",\"pattern\":\"^(ab|你)+$\"}"));

  private static GrammarSource schema(String json) {
    return new GrammarSource.Schema(json, JsonGap.FLEXIBLE, false);
  }

  private static CompiledGrammar compile(GrammarSource source, TokenBytes vocabulary) {
    return new Grammars(vocabulary).compile(source);
  }

  /** Each token is in the mask exactly if a copy of the matcher takes it. */
  private static List<Integer> checkedMask(GrammarMatcher matcher) {
    long[] mask = matcher.mask().clone();
    List<Integer> allowed = new ArrayList<>();
    for (int id = 0; id < mask.length * 64; id++) {
      boolean taken = matcher.copy().accept(id);
      boolean inMask = (mask[id >> 6] >> id & 1) != 0;
      assertThat(inMask).as("token %d at %s", id, matcher).isEqualTo(taken);
      if (taken) {
        allowed.add(id);
      }
    }
    return allowed;
  }

  @Test
  void aTokenIsInTheMaskExactlyIfItIsTaken() {
    TokenBytes vocabulary = Vocabularies.small();
    for (GrammarSource source : SOURCES) {
      CompiledGrammar grammar = compile(source, vocabulary);
      for (int seed = 0; seed < 3; seed++) {
        Random random = new Random(seed);
        GrammarMatcher matcher = grammar.newMatcher();
        for (int step = 0; step < 40; step++) {
          List<Integer> allowed = checkedMask(matcher);
          assertThat(matcher.mustEnd()).isEqualTo(allowed.isEmpty());
          assertThat(!allowed.isEmpty() || matcher.mayEnd()).as("dead end in %s", source).isTrue();
          if (allowed.isEmpty()) {
            break;
          }
          assertThat(matcher.accept(allowed.get(random.nextInt(allowed.size())))).isTrue();
        }
      }
    }
  }

  @Test
  void masksOfContextsThatComeBackAreThoseOfAFreshWalk() {
    TokenBytes vocabulary = Vocabularies.small();
    CompiledGrammar grammar = compile(SOURCES.getFirst(), vocabulary);
    StringBuilder text = new StringBuilder("{\"a\": [");
    for (int i = 0; i < 150; i++) {
      text.append(i % 3 == 0 ? "[{\"b\": [1, {\"c\": null}]}, 2], " : "{\"b\": {\"c\": \"x\"}}, ");
    }
    text.append("1]}");
    GrammarMatcher matcher = grammar.newMatcher();
    for (byte b : text.toString().getBytes(StandardCharsets.UTF_8)) {
      assertThat(matcher.mask()).isEqualTo(matcher.exactMask());
      assertThat(matcher.accept(b & 0xFF)).isTrue();
    }
    assertThat(matcher.mayEnd()).isTrue();
  }

  @Test
  void masksOfTheV3VocabularyAreThoseOfAFreshStepByStepWalk() {
    TokenBytes vocabulary = Vocabularies.v3Bytes();
    for (GrammarSource source : SOURCES) {
      GrammarMatcher matcher = compile(source, vocabulary).newMatcher();
      Random random = new Random(7);
      for (int step = 0; step < 7 && !matcher.mustEnd(); step++) {
        long[] mask = matcher.mask().clone();
        assertThat(mask).as("%s step %d", source, step).isEqualTo(matcher.exactMask());
        int id = pick(mask, random);
        assertThat(matcher.accept(id)).isTrue();
      }
    }
  }

  private static int pick(long[] mask, Random random) {
    int count = 0;
    for (long word : mask) {
      count += Long.bitCount(word);
    }
    int wanted = random.nextInt(count);
    for (int id = 0; ; id++) {
      if ((mask[id >> 6] >> id & 1) != 0 && wanted-- == 0) {
        return id;
      }
    }
  }

  @Test
  void goingBackGivesTheSameMasksAgain() {
    TokenBytes vocabulary = Vocabularies.small();
    for (GrammarSource source : SOURCES) {
      GrammarMatcher matcher = compile(source, vocabulary).newMatcher();
      Random random = new Random(3);
      List<long[]> masks = new ArrayList<>();
      for (int step = 0; step < 300 && !matcher.mustEnd(); step++) {
        masks.add(matcher.mask().clone());
        matcher.accept(pick(masks.getLast(), random));
        int back = Math.min(random.nextInt(4) == 0 ? random.nextInt(64) : 0, masks.size());
        matcher.rollback(back);
        for (int i = 0; i < back; i++) {
          long[] expected = masks.removeLast();
          if (i == back - 1) {
            assertThat(matcher.mask()).isEqualTo(expected);
          }
        }
      }
      assertThat(matcher.numTokens()).isEqualTo(masks.size());
    }
  }

  @Test
  void aTokenThatIsRefusedChangesNothing() {
    TokenBytes vocabulary = Vocabularies.small();
    GrammarMatcher matcher = compile(new GrammarSource.Regex("ab+c"), vocabulary).newMatcher();
    assertThat(matcher.accept('a')).isTrue();
    long[] before = matcher.mask().clone();
    assertThat(matcher.accept('c')).isFalse();
    assertThat(matcher.accept(-1)).isFalse();
    assertThat(matcher.accept(1_000_000)).isFalse();
    assertThat(matcher.mask()).isEqualTo(before);
    assertThat(matcher.numTokens()).isEqualTo(1);
  }

  @Test
  void deepNestingEndsBeforeTheLimitAndCanStillBeClosed() {
    TokenBytes vocabulary = Vocabularies.small();
    GrammarMatcher matcher =
        compile(new GrammarSource.AnyObject(JsonGap.NONE), vocabulary).newMatcher();
    StringBuilder closing = new StringBuilder();
    boolean object = true;
    while (take(matcher, object ? "{" : "[")) {
      closing.insert(0, object ? "}" : "]");
      checkedMask(matcher);
      if (object && !take(matcher, "\"a\":")) {
        break;
      }
      checkedMask(matcher);
      object = !object;
    }
    assertThat(closing.length()).isBetween(250, 1024);
    take(matcher, "1");
    assertThat(take(matcher, closing.toString())).isTrue();
    assertThat(matcher.mayEnd()).isTrue();
    assertThat(matcher.mustEnd()).isTrue();
  }

  private static boolean take(GrammarMatcher matcher, String text) {
    return matcher.acceptBytes(text.getBytes(StandardCharsets.UTF_8), 0);
  }
}
