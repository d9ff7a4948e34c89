package dev.fathom.grammar;

/**
 * A grammar that was compiled for a vocabulary. Immutable to its users; safe for several threads:
 * what it learns about its masks is shared by all matchers.
 */
public final class CompiledGrammar {

  private final RuleNetwork net;
  private final ConfigurationGraph graph;

  CompiledGrammar(RuleNetwork net, TokenBytes vocabulary) {
    this.net = net;
    this.graph = new ConfigurationGraph(net, vocabulary);
  }

  /** Returns a matcher for one answer. */
  public GrammarMatcher newMatcher() {
    return new GrammarMatcher(this);
  }

  RuleNetwork net() {
    return net;
  }

  ConfigurationGraph graph() {
    return graph;
  }

  @Override
  public String toString() {
    return "CompiledGrammar[states=" + net.numStates() + ", rules=" + net.start.length + "]";
  }
}
