package dev.fathom.examples.cli;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Puts the library's messages into the words of the command line: who reads {@code
 * contextTokens(4096)} must be able to type it, so it becomes {@code --context 4096}.
 */
final class OptionNames {

  private static final Map<String, String> OPTIONS = new LinkedHashMap<>();

  static {
    OPTIONS.put("contextTokens", "--context");
    OPTIONS.put("kvCache", "--kv-cache");
    OPTIONS.put("kvHostMemory", "--kv-host-memory");
    OPTIONS.put("kvFolder", "--kv-folder");
    OPTIONS.put("maxSequences", "--sequences");
    OPTIONS.put("prefillChunkTokens", "--chunk");
    OPTIONS.put("memoryBudget", "--memory");
    OPTIONS.put("promptFormat", "--prompt-format");
    OPTIONS.put("fillInTheMiddle", "--suffix");
    OPTIONS.put("speculation", "--speculation");
    OPTIONS.put("maxTokens", "--max-tokens");
    OPTIONS.put("temperature", "--temperature");
    OPTIONS.put("topP", "--top-p");
    OPTIONS.put("threads", "--threads");
  }

  private OptionNames() {}

  /** Returns the text with the library's names of options replaced. */
  static String translate(String text) {
    String translated = text;
    for (Map.Entry<String, String> option : OPTIONS.entrySet()) {
      translated = replace(translated, option.getKey(), option.getValue());
    }
    return translated;
  }

  private static String replace(String text, String name, String option) {
    StringBuilder out = new StringBuilder();
    int done = 0;
    for (int at = text.indexOf(name); at >= 0; at = text.indexOf(name, done)) {
      int end = at + name.length();
      if (isLetter(text, at - 1) || isLetter(text, end)) {
        out.append(text, done, end);
        done = end;
        continue;
      }
      boolean chained = at > done && text.charAt(at - 1) == '.' && isChain(text, at - 2);
      out.append(text, done, chained ? at - 1 : at).append(chained ? " " : "").append(option);
      done = end;
      int close = end < text.length() && text.charAt(end) == '(' ? closing(text, end) : -1;
      if (close > 0) {
        out.append(' ').append(value(text.substring(end + 1, close)));
        done = close + 1;
      }
    }
    return out.append(text, done, text.length()).toString();
  }

  private static boolean isLetter(String text, int i) {
    return i >= 0
        && i < text.length()
        && (Character.isLetterOrDigit(text.charAt(i)) || text.charAt(i) == '-');
  }

  /** Options in a chain follow the value or the call before them. */
  private static boolean isChain(String text, int i) {
    return i >= 0 && (text.charAt(i) == ')' || Character.isLetterOrDigit(text.charAt(i)));
  }

  private static int closing(String text, int open) {
    int depth = 0;
    for (int i = open; i < text.length(); i++) {
      depth += text.charAt(i) == '(' ? 1 : text.charAt(i) == ')' ? -1 : 0;
      if (depth == 0) {
        return i;
      }
    }
    return -1;
  }

  private static String value(String argument) {
    return argument.startsWith("Bytes.mib(") && argument.endsWith(")")
        ? argument.substring("Bytes.mib(".length(), argument.length() - 1) + "MiB"
        : argument;
  }
}
