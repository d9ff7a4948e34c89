package dev.fathom;

import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * What a reader holds of a streamed generation. The engine holds the {@link LiveGeneration} and
 * knows this object weakly: where the reader drops it, nobody can take the tokens any more.
 */
final class LiveStream implements TokenStream {

  private final LiveGeneration generation;
  private final Iterator<Token> iterator = new TokenIterator();

  LiveStream(LiveGeneration generation) {
    this.generation = generation;
    generation.readBy(this);
  }

  @Override
  public Iterator<Token> iterator() {
    return iterator;
  }

  @Override
  public Generation result() {
    return generation.result();
  }

  @Override
  public void close() {
    generation.close();
  }

  private final class TokenIterator implements Iterator<Token> {

    @Override
    public boolean hasNext() {
      return generation.awaitToken();
    }

    @Override
    public Token next() {
      if (!hasNext()) {
        throw new NoSuchElementException("the generation has ended");
      }
      return generation.takeToken();
    }
  }
}
