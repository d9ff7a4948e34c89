package dev.fathom.grammar;

import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The values of {@code format} that are enforced, each as a regular expression of our own. */
final class StringFormats {

  private static final String DAY_31 = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])";
  private static final String DAY_30 = "(0[469]|11)-(0[1-9]|[12][0-9]|30)";
  private static final String DAY_28 = "02-(0[1-9]|1[0-9]|2[0-8])";
  private static final String LEAP_YEAR =
      "([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)";
  private static final String YEAR = "([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)";
  private static final String DATE =
      "(" + YEAR + "-(" + DAY_31 + "|" + DAY_30 + "|" + DAY_28 + ")|" + LEAP_YEAR + "-02-29)";

  /** Leap seconds are left out: whether one is valid depends on the zone. */
  private static final String CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?";

  private static final String ZONE = "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
  private static final String BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  private static final String IPV4 = BYTE + "(\\." + BYTE + "){3}";
  private static final String LABEL = "[a-z](-?[a-z0-9]){0,30}";
  private static final String HOST = LABEL + "(\\." + LABEL + "){0,5}";

  /** Some validators know all top-level domains and refuse others. */
  private static final String TOP = "(com|org|net|edu|gov|info|io|de|uk|fr|cn|jp|us)";

  private static final String HEX16 = "[0-9a-fA-F]{1,4}";

  private static final Map<String, String> PATTERNS =
      Map.ofEntries(
          Map.entry("date", DATE),
          Map.entry("time", CLOCK + ZONE),
          Map.entry("date-time", DATE + "T" + CLOCK + ZONE),
          Map.entry(
              "duration",
              "P([0-9]{1,4}W|([0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,4}D)?)?|[0-9]{1,4}M([0-9]{1,4}D)?"
                  + "|[0-9]{1,4}D)(T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}M"
                  + "([0-9]{1,4}S)?|[0-9]{1,4}S))?|T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?"
                  + "|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S))"),
          Map.entry("uuid", "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
          Map.entry(
              "email", "[a-z0-9]{1,20}([._+-][a-z0-9]{1,20}){0,2}@(" + LABEL + "\\.){1,3}" + TOP),
          Map.entry("hostname", HOST),
          Map.entry("ipv4", IPV4),
          Map.entry("ipv6", ipv6()),
          Map.entry("uri", "(https?|ftp)://" + HOST + "(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~-]+)*/?"));

  /** What the standard knows and this library does not write. */
  private static final Set<String> REFUSED =
      Set.of(
          "idn-email",
          "idn-hostname",
          "uri-reference",
          "iri",
          "iri-reference",
          "uri-template",
          "json-pointer",
          "relative-json-pointer",
          "regex");

  private StringFormats() {}

  private static String ipv6() {
    StringBuilder all = new StringBuilder("(" + HEX16 + ":){7}" + HEX16);
    // "::" stands for at least two groups: before it n, after it at most 6 - n.
    for (int n = 0; n <= 6; n++) {
      all.append('|').append(groups(n)).append("::");
      int after = 6 - n;
      if (after > 0) {
        all.append("(").append(HEX16).append("(:").append(HEX16).append("){0,");
        all.append(after - 1).append("})?");
      }
    }
    return "(" + all + ")";
  }

  private static String groups(int n) {
    return n == 0 ? "" : HEX16 + "(:" + HEX16 + "){" + (n - 1) + "}";
  }

  /** Returns the expression of a format, null if it is only an annotation. */
  static @Nullable String pattern(String format) {
    return PATTERNS.get(format);
  }

  static boolean isRefused(String format) {
    return REFUSED.contains(format);
  }
}
