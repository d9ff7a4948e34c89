package dev.fathom.grammar;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Writes a list of texts into a network as a tree, so that common starts are read once. */
final class TextTrie {

  private final NetworkBuilder out;
  private final boolean json;
  private final Map<Long, Integer> children = new HashMap<>();

  TextTrie(NetworkBuilder out, boolean json) {
    this.out = out;
    this.json = json;
  }

  void add(List<String> texts, int from, int end) {
    int root = out.newState();
    out.move(from, root);
    for (String text : texts) {
      int at = root;
      for (byte b : out.encoded(text, json)) {
        at = child(at, b & 0xFF);
      }
      out.move(at, end);
    }
  }

  private int child(int state, int value) {
    long key = (long) state << 8 | value;
    Integer known = children.get(key);
    if (known != null) {
      return known;
    }
    int made = out.newState();
    out.bytes(state, value, value, made);
    children.put(key, made);
    return made;
  }
}
