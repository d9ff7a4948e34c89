package dev.fathom.engine;

import dev.fathom.grammar.CompiledGrammar;
import dev.fathom.grammar.TextTrigger;
import dev.fathom.text.Tokenizer;
import org.jspecify.annotations.Nullable;

/**
 * The grammar of an answer, and from where on it holds. Arrays must not change. At most 64 end
 * tokens.
 *
 * @param grammar what is written
 * @param trigger the mark behind which the grammar begins, null where it begins at once
 * @param freeTokens tokens that are allowed before the mark, null for all
 * @param endIds tokens that end the answer
 * @param tokenizer says which bytes the tokens before the mark have
 */
public record AnswerGrammar(
    CompiledGrammar grammar,
    @Nullable TextTrigger trigger,
    long @Nullable [] freeTokens,
    int[] endIds,
    Tokenizer tokenizer) {

  byte[] tokenBytes(int tokenId) {
    return tokenizer.tokenBytes(tokenId);
  }
}
