package dev.fathom;

/** Takes the logits of consecutive positions of a sequence, on the thread that asked for them. */
@FunctionalInterface
public interface LogitsConsumer {

  /**
   * Takes the logits of one position.
   *
   * @param position of the token after which these logits stand, from 0
   * @param logits float32 values; valid during the call only
   * @param offset first logit
   * @param vocabSize number of logits
   */
  void accept(int position, float[] logits, int offset, int vocabSize);
}
