package dev.fathom.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Follows one answer through a grammar: says which tokens may come next, takes the one that came,
 * and goes back where drafts were rejected.
 *
 * <p>The state is a {@link Configuration}, which is immutable, so going back means to look at an
 * older one. A mask is put together from the {@link TokenSet}s of the configuration's states,
 * grouped by frame: each set holds for every context; only tokens during which a rule ends are
 * looked at again, with the rule's callers. Cost of a mask after warm-up: a few passes over {@code
 * vocabulary / 64} words.
 *
 * <p>For one thread at a time.
 */
public final class GrammarMatcher {

  /** Most rules that may be open at once: about 400 levels of JSON. */
  static final int MAX_DEPTH = 1024;

  /** Most tokens that {@link #rollback} can take back. */
  public static final int MAX_ROLLBACK = 64;

  private static final int MAX_CONTINUATIONS = 256;

  /** Nodes below which rules end that are looked at for a mask before it is made in another way. */
  private static final int MAX_STEPS = 500_000;

  private final RuleNetwork net;
  private final ConfigurationGraph graph;
  private final TokenBytes vocabulary;
  private final Stepper stepper;
  private final @Nullable Configuration[] history = new Configuration[MAX_ROLLBACK + 1];
  private final long[] mask;
  private Configuration current;
  private int numTokens;
  private final Map<Frame, Continuation> continuations = new IdentityHashMap<>();
  private int steps;

  /** What may follow: configurations above frames. */
  private record Continuation(Configuration[] locals, Frame[] frames) {}

  GrammarMatcher(CompiledGrammar grammar) {
    this.net = grammar.net();
    this.graph = grammar.graph();
    this.vocabulary = graph.vocabulary();
    this.stepper = new Stepper(net, MAX_DEPTH);
    this.mask = new long[vocabulary.numWords()];
    this.current = stepper.start();
  }

  private GrammarMatcher(GrammarMatcher from) {
    this.net = from.net;
    this.graph = from.graph;
    this.vocabulary = from.vocabulary;
    this.stepper = new Stepper(net, MAX_DEPTH);
    this.mask = new long[vocabulary.numWords()];
    this.current = from.current;
    this.numTokens = from.numTokens;
    System.arraycopy(from.history, 0, history, 0, history.length);
  }

  /** Returns a matcher that goes on from here by itself. */
  public GrammarMatcher copy() {
    return new GrammarMatcher(this);
  }

  /** Returns whether the answer may end here. */
  public boolean mayEnd() {
    return current.ends;
  }

  /** Returns whether the answer must end here: nothing may follow. */
  public boolean mustEnd() {
    return current.isStuck();
  }

  /** Returns how many tokens were taken and not taken back. */
  public int numTokens() {
    return numTokens;
  }

  /**
   * Takes a token.
   *
   * @return false, and nothing changes, if the grammar does not allow it
   */
  public boolean accept(int tokenId) {
    Configuration next = after(current, tokenId);
    if (next == null) {
      return false;
    }
    history[numTokens % history.length] = current;
    numTokens++;
    current = next;
    return true;
  }

  /**
   * Takes bytes that are not a token of their own, the end of one for example; as {@link #accept},
   * but they are not counted and cannot be taken back.
   *
   * @param from index of the first byte
   */
  public boolean acceptBytes(byte[] bytes, int from) {
    Configuration at = current;
    for (int i = from; i < bytes.length; i++) {
      at = stepper.read(at, bytes[i] & 0xFF);
      if (at.isDead()) {
        return false;
      }
    }
    current = at;
    return true;
  }

  private @Nullable Configuration after(Configuration from, int tokenId) {
    if (Arrays.binarySearch(net.controls, tokenId) >= 0) {
      Configuration next = stepper.readControl(from, tokenId);
      if (!next.isDead()) {
        return next;
      }
    }
    byte[] bytes = vocabulary.bytes(tokenId);
    if (bytes.length == 0) {
      return null;
    }
    Configuration at = from;
    for (byte b : bytes) {
      at = stepper.read(at, b & 0xFF);
      if (at.isDead()) {
        return null;
      }
    }
    return at;
  }

  /**
   * Takes the last tokens back.
   *
   * @throws IllegalArgumentException if fewer were taken, or more than {@link #MAX_ROLLBACK}
   */
  public void rollback(int tokens) {
    if (tokens < 0 || tokens > Math.min(numTokens, MAX_ROLLBACK)) {
      throw new IllegalArgumentException(
          "must be in [0, " + Math.min(numTokens, MAX_ROLLBACK) + "]: tokens=" + tokens);
    }
    if (tokens > 0) {
      numTokens -= tokens;
      Configuration earlier = history[numTokens % history.length];
      if (earlier == null) {
        throw new IllegalArgumentException("must not go back beyond the start of a copy");
      }
      current = earlier;
    }
  }

  /**
   * Returns the tokens that may come next, bit i of word i / 64. End tokens are not in it: they may
   * come where {@link #mayEnd}.
   *
   * @return valid until this matcher is used again; callers only read
   */
  public long[] mask() {
    synchronized (graph) {
      return compute();
    }
  }

  private long[] compute() {
    Continuation now = split(current);
    Configuration[] locals = now.locals();
    if (locals.length == 1) {
      TokenSet only = graph.tokens(locals[0]);
      Frame frame = now.frames()[0];
      boolean closed = only.isClosed() || frame == Frame.BOTTOM;
      if (closed && only.mask().length > 0 && frame.depth() + only.depth() <= MAX_DEPTH) {
        return only.mask();
      }
    }
    long[] known = graph.wholeMasks().get(current);
    if (known != null) {
      return known;
    }
    long[] made = putTogether(now);
    graph.wholeMasks().put(current, made);
    return made;
  }

  private long[] putTogether(Continuation now) {
    Configuration[] locals = now.locals();
    Arrays.fill(mask, 0);
    steps = 0;
    for (int i = 0; i < locals.length; i++) {
      TokenSet tokens = graph.tokens(locals[i]);
      Frame frame = now.frames()[i];
      if (frame.depth() + tokens.depth() > MAX_DEPTH) {
        return exactly();
      }
      tokens.addTo(mask);
      boolean closed = tokens.isClosed() || frame == Frame.BOTTOM;
      if (!closed && !goOn(tokens, frame)) {
        return exactly();
      }
    }
    return mask;
  }

  /**
   * Makes the token sets of what may come from here on, breadth first, until all are made or the
   * time is up: so that they are made once and by whoever compiles, not while others wait.
   */
  void warm(long maxNanos) {
    long begin = System.nanoTime();
    Set<Configuration> seen = new HashSet<>();
    ArrayDeque<Configuration> open = new ArrayDeque<>();
    open.add(current);
    synchronized (graph) {
      while (!open.isEmpty() && System.nanoTime() - begin < maxNanos) {
        Configuration at = open.removeFirst();
        boolean fresh = false;
        for (Configuration local : split(at).locals()) {
          if (seen.add(local)) {
            graph.tokens(local);
            fresh = true;
          }
        }
        if (fresh) {
          addNext(at, open);
        }
      }
    }
  }

  /** Adds what follows each kind of byte and each control token. */
  private void addNext(Configuration at, ArrayDeque<Configuration> open) {
    boolean[] tried = new boolean[net.numClasses];
    for (int b = 0; b < 256; b++) {
      if (!tried[net.classOf[b]]) {
        tried[net.classOf[b]] = true;
        addLive(stepper.read(at, b), open);
      }
    }
    for (int control : net.controls) {
      addLive(stepper.readControl(at, control), open);
    }
  }

  private static void addLive(Configuration next, ArrayDeque<Configuration> open) {
    if (!next.isStuck()) {
      open.add(next);
    }
  }

  /** Groups the states of a configuration by their frame. */
  private Continuation split(Configuration at) {
    int size = at.size();
    boolean[] grouped = new boolean[size];
    int[] members = new int[size];
    List<Configuration> locals = new ArrayList<>();
    List<Frame> frames = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      if (grouped[i]) {
        continue;
      }
      Frame frame = at.frames[i];
      int n = 0;
      for (int k = i; k < size; k++) {
        if (!grouped[k] && at.frames[k].sameCallers(frame)) {
          grouped[k] = true;
          members[n++] = k;
        }
      }
      locals.add(graph.above(at, members, n));
      frames.add(frame);
    }
    return new Continuation(locals.toArray(Configuration[]::new), frames.toArray(Frame[]::new));
  }

  private Continuation behind(Frame ended) {
    Continuation then = continuations.get(ended);
    if (then == null) {
      if (continuations.size() >= MAX_CONTINUATIONS) {
        continuations.clear();
      }
      then = split(stepper.returned(ended));
      continuations.put(ended, then);
    }
    return then;
  }

  /** Continues tokens during which a rule ended with the rule's callers, byte by byte. */
  private boolean goOn(TokenSet tokens, Frame ended) {
    Continuation then = behind(ended);
    int[] first = tokens.first();
    for (int i = 0; i < then.locals().length; i++) {
      Frame frame = then.frames()[i];
      for (int b = 0; b < 256; b++) {
        if (first[b] == first[b + 1]) {
          continue;
        }
        Configuration next = graph.next(then.locals()[i], (byte) b);
        if (next.isDead()) {
          continue;
        }
        if (frame.depth() + next.depth > MAX_DEPTH) {
          return false;
        }
        for (int k = first[b]; k < first[b + 1]; k++) {
          if (!enter(tokens.tree(), tokens.behind()[k], next, frame)) {
            return false;
          }
        }
      }
    }
    return true;
  }

  /** Allows the token of a node and goes on below it. */
  private boolean enter(TokenTrie tree, int node, Configuration at, Frame frame) {
    tree.allow(node, mask);
    if (++steps > MAX_STEPS) {
      return false;
    }
    if (!tree.hasChildren(node)) {
      return true;
    }
    boolean open = at.ends && frame != Frame.BOTTOM;
    return (!open || goOn(tree, node, frame)) && (at.isStuck() || walk(tree, node, at, frame));
  }

  /** Continues the tokens below a node, at which a rule ended, with the rule's callers. */
  private boolean goOn(TokenTrie tree, int node, Frame ended) {
    Continuation then = behind(ended);
    for (int i = 0; i < then.locals().length; i++) {
      if (!walk(tree, node, then.locals()[i], then.frames()[i])) {
        return false;
      }
    }
    return true;
  }

  /** Walks below a node; returns false where it must be done exactly. */
  private boolean walk(TokenTrie tree, int from, Configuration first, Frame frame) {
    int base = tree.depth[from];
    Configuration[] path = new Configuration[tree.deepestBelow(from) - base + 1];
    path[0] = first;
    int node = from + 1;
    while (node < tree.end[from]) {
      int d = tree.depth[node] - base;
      Configuration next = graph.next(path[d - 1], tree.label[node]);
      if (next.isDead()) {
        node = tree.end[node];
        continue;
      }
      if (frame.depth() + next.depth > MAX_DEPTH || ++steps > MAX_STEPS) {
        return false;
      }
      tree.allow(node, mask);
      boolean open = next.ends && frame != Frame.BOTTOM && tree.hasChildren(node);
      if (open && !goOn(tree, node, frame)) {
        return false;
      }
      path[d] = next;
      node = next.isStuck() ? tree.end[node] : node + 1;
    }
    return true;
  }

  /** The mask computed step by step, whatever is kept ready: what {@link #mask} is tested with. */
  long[] exactMask() {
    return exactly().clone();
  }

  /** The mask without what is kept ready: where rules are nested almost too deeply. */
  private long[] exactly() {
    Arrays.fill(mask, 0);
    for (int control : net.controls) {
      if (!stepper.readControl(current, control).isDead()) {
        mask[control >> 6] |= 1L << control;
      }
    }
    TokenTrie tree = vocabulary.all();
    Configuration[] path = new Configuration[tree.maxDepth() + 1];
    path[0] = current;
    int node = 1;
    while (node < tree.numNodes()) {
      int d = tree.depth[node];
      Configuration next = stepper.read(path[d - 1], tree.label[node] & 0xFF);
      if (next.isDead()) {
        node = tree.end[node];
        continue;
      }
      tree.allow(node, mask);
      path[d] = next;
      node++;
    }
    return mask;
  }

  @Override
  public String toString() {
    return "GrammarMatcher[tokens=" + numTokens + ", ends=" + current.ends + "]";
  }
}
