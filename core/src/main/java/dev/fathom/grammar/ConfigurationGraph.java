package dev.fathom.grammar;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * The automaton that a network is when one does not look below a rule: configurations above a
 * {@link Frame#BOTTOM}, each once, with their transitions and {@link TokenSet}s, made when they are
 * first asked for and kept within bounds.
 *
 * <p>One for all requests with the same grammar and vocabulary. Callers hold its monitor.
 */
final class ConfigurationGraph {

  private static final int MAX_CONFIGURATIONS = 30_000;
  private static final int MAX_MASKS = 512;
  private static final int FEW_TOKENS = 256;

  private final RuleNetwork net;
  private final TokenBytes vocabulary;
  private final Stepper stepper;
  private final byte[][] plainBytes;
  private final Map<Configuration, Configuration> known = new HashMap<>();
  private final Map<FrameKey, Frame> frames = new HashMap<>();
  private final Map<Mask, long[]> masks = new HashMap<>();
  private final Configuration[] path;
  private final MaskCache wholeMasks = new MaskCache();
  private int[] open = new int[64];

  /** A mask by its content. */
  private record Mask(long[] words) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Mask mask && Arrays.equals(words, mask.words);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(words);
    }
  }

  /** A frame by what it returns to. */
  private record FrameKey(Frame frame) {
    @Override
    public boolean equals(Object other) {
      return other instanceof FrameKey key && frame.sameCallers(key.frame);
    }

    @Override
    public int hashCode() {
      return frame.callersHash();
    }
  }

  ConfigurationGraph(RuleNetwork net, TokenBytes vocabulary) {
    this.net = net;
    this.vocabulary = vocabulary;
    this.stepper = new Stepper(net, GrammarMatcher.MAX_DEPTH);
    this.plainBytes = PlainText.representatives(net.classOf);
    this.path = new Configuration[vocabulary.all().maxDepth() + 1];
  }

  /** Returns the masks that were put together last. */
  MaskCache wholeMasks() {
    return wholeMasks;
  }

  TokenBytes vocabulary() {
    return vocabulary;
  }

  /**
   * Returns those states of a configuration that share a frame, with nothing known below it.
   *
   * @param members indexes of the states, ascending
   */
  Configuration above(Configuration whole, int[] members, int numMembers) {
    int[] states = new int[numMembers];
    int[] counts = new int[numMembers];
    Frame[] bottoms = new Frame[numMembers];
    int depth = 0;
    for (int i = 0; i < numMembers; i++) {
      states[i] = whole.states[members[i]];
      counts[i] = canonical(states[i], whole.counts[members[i]]);
      bottoms[i] = Frame.BOTTOM;
      depth = Math.max(depth, net.need[states[i]]);
    }
    return intern(new Configuration(states, counts, bottoms, false, depth));
  }

  /**
   * The smallest counter that no token can tell from this one: within a token a counter rises by
   * its length at most.
   */
  private int canonical(int state, int count) {
    int rule = net.ruleOf[state];
    int min = net.minCount[rule];
    int max = net.maxCount[rule];
    int reach = path.length;
    boolean farFromMax = max < 0 || max - count > reach;
    if (!farFromMax) {
      return count;
    }
    if (count >= min) {
      return min;
    }
    return Math.max(count, min - reach - 1);
  }

  /** Returns what follows a byte. */
  Configuration next(Configuration from, byte value) {
    int c = net.classOf[value & 0xFF];
    Configuration[] next = from.next;
    Configuration known = next == null ? null : next[c];
    return known != null ? known : compute(from, value, c);
  }

  private Configuration compute(Configuration from, byte value, int byteClass) {
    Configuration made = intern(stepper.read(from, value & 0xFF));
    Configuration[] next = from.next;
    if (next == null) {
      next = new Configuration[net.numClasses];
      from.next = next;
    }
    next[byteClass] = made;
    return made;
  }

  private Configuration intern(Configuration made) {
    if (known.size() >= MAX_CONFIGURATIONS) {
      forget();
    }
    for (int i = 0; i < made.frames.length; i++) {
      made.frames[i] = intern(made.frames[i]);
    }
    Configuration same = known.putIfAbsent(made, made);
    return same == null ? made : same;
  }

  /** Frames compare their parents by identity, so these come first. */
  private Frame intern(Frame frame) {
    if (frame == Frame.BOTTOM || frames.get(new FrameKey(frame)) == frame) {
      return frame;
    }
    Frame own = frame;
    for (int c = 0; c < frame.numCallers(); c++) {
      Frame parent = intern(frame.parent(c));
      own = parent == frame.parent(c) ? own : own.withParent(c, parent);
    }
    Frame same = frames.putIfAbsent(new FrameKey(own), own);
    return same == null ? own : same;
  }

  /** Starts anew where too much was made; what is in use stays valid. */
  private void forget() {
    known.clear();
    frames.clear();
    masks.clear();
  }

  /** Returns the tokens that may follow an interned configuration. */
  TokenSet tokens(Configuration at) {
    TokenSet known = at.tokens;
    if (known == null) {
      known = walk(at);
      at.tokens = known;
    }
    return known;
  }

  private TokenSet walk(Configuration at) {
    long[] mask = new long[vocabulary.numWords()];
    TokenTrie tree = vocabulary.all();
    for (TokenBytes.Slice slice : vocabulary.slices()) {
      if (PlainText.accepts(at, slice.maxChars(), this, plainBytes)) {
        System.arraycopy(slice.tokens(), 0, mask, 0, mask.length);
        tree = slice.others();
        break;
      }
    }
    allowControls(at, mask);
    int[] result = walk(tree, at, mask);
    return pack(mask, tree, Arrays.copyOf(open, result[0]), result[1]);
  }

  private void allowControls(Configuration at, long[] mask) {
    for (int state : at.states) {
      for (int e = net.firstEdge[state]; e != RuleNetwork.NONE; e = net.nextEdge[e]) {
        int word = net.lo[e] >> 6;
        if (net.kind[e] == RuleNetwork.CONTROL && word < mask.length) {
          mask[word] |= 1L << net.lo[e];
        }
      }
    }
  }

  /** Walks a whole tree; returns the number of open nodes and the depth. */
  private int[] walk(TokenTrie tree, Configuration from, long[] mask) {
    byte[] label = tree.label;
    short[] depthOf = tree.depth;
    int numOpen = 0;
    int depth = from.depth;
    path[0] = from;
    int node = 1;
    while (node < label.length) {
      int d = depthOf[node];
      Configuration next = next(path[d - 1], label[node]);
      if (next.isDead()) {
        node = tree.end[node];
        continue;
      }
      depth = Math.max(depth, next.depth);
      tree.allow(node, mask);
      boolean inner = tree.hasChildren(node);
      if (next.ends && inner) {
        open = numOpen == open.length ? Arrays.copyOf(open, numOpen * 2) : open;
        open[numOpen++] = node;
      }
      path[d] = next;
      node = next.isStuck() ? tree.end[node] : node + 1;
    }
    return new int[] {numOpen, depth};
  }

  private TokenSet pack(long[] mask, TokenTrie tree, int[] openNodes, int depth) {
    int[] behind = tree.childrenOf(openNodes);
    int[] first = behind.length == 0 ? behind : tree.sortByLabel(behind);
    int count = 0;
    for (long word : mask) {
      count += Long.bitCount(word);
    }
    if (count > FEW_TOKENS) {
      if (masks.size() >= MAX_MASKS) {
        forget();
      }
      long[] same = masks.putIfAbsent(new Mask(mask), mask);
      long[] shared = same == null ? mask : same;
      return new TokenSet(count, new int[0], shared, tree, behind, first, depth);
    }
    int[] ids = new int[count];
    int n = 0;
    for (int w = 0; w < mask.length; w++) {
      for (long word = mask[w]; word != 0; word &= word - 1) {
        ids[n++] = (w << 6) + Long.numberOfTrailingZeros(word);
      }
    }
    return new TokenSet(count, ids, new long[0], tree, behind, first, depth);
  }
}
