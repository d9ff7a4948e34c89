package dev.fathom.grammar;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/** The named sets of code points of regular expressions. */
final class CharClasses {

  static final CodePoints DIGIT = CodePoints.ofRange('0', '9');
  static final CodePoints WORD =
      CodePoints.union(
          List.of(
              DIGIT,
              CodePoints.ofRange('A', 'Z'),
              CodePoints.ofRange('a', 'z'),
              CodePoints.of('_')));

  /** White space of ASCII. */
  static final CodePoints SPACE = CodePoints.of(' ', '\t', '\n', 0x0B, '\f', '\r');

  /** White space and line terminators of all of Unicode. */
  static final CodePoints ANY_SPACE =
      CodePoints.union(
          List.of(
              SPACE,
              CodePoints.of(0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF),
              CodePoints.of(0x180E),
              CodePoints.ofRange(0x2000, 0x200A)));

  /** Everything but what ends a line anywhere. */
  static final CodePoints NO_LINE_END =
      CodePoints.of('\n', '\r', 0x85, 0x2028, 0x2029).complement();

  /** Two letters for each of {@link Character#getType}'s numbers, of which 0 and 17 are free. */
  private static final String CATEGORIES =
      "-- Lu Ll Lt Lm Lo Mn Me Mc Nd Nl No Zs Zl Zp Cc Cf -- Co Cs Pd Ps Pe Pc Po Sm Sc Sk So Pi Pf";

  private static final String[] LONG_NAMES = {
    "Letter",
    "L",
    "Uppercase_Letter",
    "Lu",
    "Lowercase_Letter",
    "Ll",
    "Mark",
    "M",
    "Number",
    "N",
    "Decimal_Number",
    "Nd",
    "Punctuation",
    "P",
    "Symbol",
    "S",
    "Separator",
    "Z",
    "Alphabetic",
    "Alphabetic",
    "digit",
    "Nd"
  };

  private CharClasses() {}

  /** Returns a general category, a script or {@code Alphabetic} by name; null if unknown. */
  static @Nullable CodePoints property(String name) {
    int equals = name.indexOf('=');
    String key = equals < 0 ? "" : name.substring(0, equals);
    String value = equals < 0 ? name : name.substring(equals + 1);
    if (key.equals("Script") || key.equals("sc")) {
      return script(value);
    }
    if (!key.isEmpty() && !key.equals("General_Category") && !key.equals("gc")) {
      return null;
    }
    String category = value;
    for (int i = 0; i < LONG_NAMES.length; i += 2) {
      category = LONG_NAMES[i].equals(value) ? LONG_NAMES[i + 1] : category;
    }
    if (category.equals("Alphabetic")) {
      return matching(Character::isAlphabetic);
    }
    String wanted = category;
    boolean known =
        !wanted.isEmpty() && wanted.length() <= 2 && (" " + CATEGORIES).contains(" " + wanted);
    return known ? matching(c -> categoryOf(c).startsWith(wanted)) : null;
  }

  private static String categoryOf(int codePoint) {
    int type = Character.getType(codePoint);
    return type == Character.UNASSIGNED ? "Cn" : CATEGORIES.substring(3 * type, 3 * type + 2);
  }

  private static @Nullable CodePoints script(String name) {
    Character.UnicodeScript script;
    try {
      script = Character.UnicodeScript.forName(name.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      return null;
    }
    return matching(c -> Character.UnicodeScript.of(c) == script);
  }

  private static CodePoints matching(IntPredicate member) {
    List<CodePoints> ranges = new ArrayList<>();
    int start = -1;
    for (int c = 0; c <= CodePoints.MAX + 1; c++) {
      boolean in = c <= CodePoints.MAX && member.test(c);
      if (in && start < 0) {
        start = c;
      } else if (!in && start >= 0) {
        ranges.add(CodePoints.ofRange(start, c - 1));
        start = -1;
      }
    }
    return CodePoints.union(ranges);
  }
}
