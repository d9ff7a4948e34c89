package dev.fathom.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.fathom.kvcache.KvFormat;
import dev.fathom.kvcache.KvGroups;
import dev.fathom.kvcache.KvSpec;
import java.util.List;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class StepBatchTest {

  /** 6 tokens, 2 sequences, 3 rows, blocks of 4 tokens, 10 in the pool, 2 a sequence, 2 groups. */
  private final StepBatch batch =
      new StepBatch(
          new CompileOptions(6, 2, 3, 4, 10, 2, KvFormat.F32, LatentForm.AUTO, Set.of()),
          KvGroups.of(List.of(new KvSpec.Full(0, 1, 1), new KvSpec.Latent(1, 1, 1))));

  @BeforeEach
  void clear() {
    batch.clear();
  }

  private static void fails(ThrowingCallable mistake, String message) {
    assertThatThrownBy(mistake).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  private void sequence(int wanted, int firstPosition, int... tokens) {
    batch.addSequence(StepBatch.NO_ADAPTER, wanted);
    for (int group = 0; group < 2; group++) {
      batch.addBlock(group, 3 + group);
      batch.addBlock(group, 7 + group);
    }
    for (int i = 0; i < tokens.length; i++) {
      batch.addToken(tokens[i], firstPosition + i);
    }
  }

  private void validate() {
    batch.validate(100, 2);
  }

  @Test
  void aBatchGivesBackWhatWasPutIn() {
    batch.addCopy(1, 2, 3);
    batch.addCopy(0, 4, 5);
    sequence(2, 3, 11, 12, 13);
    batch.addSequence(6, 0);
    batch.addBlock(0, 1);
    batch.addBlock(1, 9);
    batch.addSampledToken(1, 0);
    batch.addToken(99, 1);
    validate();
    assertThat(batch.numTokens()).isEqualTo(5);
    assertThat(batch.numSequences()).isEqualTo(2);
    assertThat(batch.numRows()).isEqualTo(2);
    assertThat(new int[] {batch.token(0), batch.token(3), batch.token(4)})
        .containsExactly(11, -2, 99);
    assertThat(new int[] {batch.position(2), batch.position(4)}).containsExactly(5, 1);
    assertThat(new int[] {batch.sequenceOf(2), batch.sequenceOf(3)}).containsExactly(0, 1);
    assertThat(new int[] {batch.firstToken(0), batch.firstToken(1), batch.firstToken(2)})
        .containsExactly(0, 3, 5);
    assertThat(new int[] {batch.firstRow(0), batch.firstRow(1), batch.firstRow(2)})
        .containsExactly(0, 2, 2);
    assertThat(new int[] {batch.tokenOfRow(0, 0), batch.tokenOfRow(0, 1)}).containsExactly(1, 2);
    assertThat(new int[] {batch.numWanted(0), batch.numWanted(1)}).containsExactly(2, 0);
    assertThat(new int[] {batch.adapterSlot(0), batch.adapterSlot(1)}).containsExactly(-1, 6);
    assertThat(new int[] {batch.numBlocks(0, 1), batch.numBlocks(1, 1)}).containsExactly(2, 1);
    assertThat(new int[] {batch.block(0, 0, 1), batch.block(0, 1, 1), batch.block(1, 1, 0)})
        .containsExactly(7, 8, 9);
    assertThat(batch.numCopies()).isEqualTo(2);
    assertThat(new int[] {batch.copyGroup(0), batch.copySource(0), batch.copyDestination(0)})
        .containsExactly(1, 2, 3);
  }

  @Test
  void tokensOfADraftNameTheStateThatTheyContinue() {
    batch.clear(2);
    fails(() -> batch.addHidden(0), "must be >= 0 and follow addToken: previousToken=0");
    sequence(1, 3, 11);
    batch.addHidden(4);
    assertThat(batch.program()).isEqualTo(2);
    assertThat(batch.hidden(0)).isEqualTo(4);
    batch.validateProgram(3, 5);
    fails(() -> batch.validateProgram(2, 5), "must be 0 <= program < 2: program=2");
    fails(() -> batch.validateProgram(3, 4), "must continue one of the 4 tokens before: hidden=4");
    sequence(1, 3, 12);
    fails(() -> batch.validateProgram(3, 5), "must continue one of the 5 tokens before: hidden=-1");
    fails(() -> batch.addHidden(-1), "must be >= 0 and follow addToken: previousToken=-1");
    batch.clear();
    assertThat(batch.program()).isZero();
    sequence(1, 3, 12);
    batch.validateProgram(1, 0);
    fails(() -> batch.clear(-1), "must be >= 0: program=-1");
  }

  @Test
  void clearingForgetsEverythingAndCapacitiesAreFreeAgain() {
    for (int round = 0; round < 3; round++) {
      sequence(3, 0, 1, 2, 3);
      sequence(0, 5, 4, 5, 6);
      validate();
      batch.clear();
      assertThat(batch.numTokens() + batch.numSequences() + batch.numRows()).isZero();
      assertThat(batch.numCopies()).isZero();
    }
  }

  @Test
  void anEmptyBatchIsAStep() {
    validate();
    assertThat(batch.firstToken(0)).isZero();
  }

  @Test
  void capacitiesAreNamedWhereTheyEnd() {
    sequence(2, 0, 1, 2, 3, 4);
    fails(() -> batch.addSequence(-1, 2), "must be 0 <= wanted <= 1: wanted=2");
    fails(() -> batch.addSequence(-1, -1), "must be 0 <= wanted <= 1: wanted=-1");
    sequence(1, 0, 1, 2);
    fails(() -> batch.addToken(3, 2), "must be <= 6: tokens of a step");
    fails(() -> batch.addSampledToken(0, 2), "must be <= 6: tokens of a step");
    fails(() -> batch.addBlock(0, 1), "must be <= 2: blocks of a sequence");
    fails(() -> batch.addSequence(-1, 0), "must be <= 2: sequences of a step");
    for (int i = 0; i < 4; i++) {
      batch.addCopy(0, i, i + 1);
    }
    fails(() -> batch.addCopy(0, 1, 2), "must be <= 4: block copies of a step");
  }

  @Test
  void positionsOfASequenceAreConsecutive() {
    sequence(1, 2, 5, 6);
    fails(() -> batch.addToken(7, 5), "must follow the position before it: position=5");
    fails(() -> batch.addToken(7, 3), "must follow the position before it: position=3");
    batch.addSequence(-1, 0);
    fails(() -> batch.addToken(7, -1), "must follow the position before it: position=-1");
  }

  @Test
  void tokensAreIdsOfTheVocabularyOrRowsOfThePreviousStep() {
    sequence(1, 0, 99);
    fails(() -> batch.addToken(-1, 1), "must be >= 0: token=-1");
    fails(() -> batch.addSampledToken(-1, 1), "must be >= 0: previousRow=-1");
    validate();
    batch.clear();
    sequence(1, 0, 100);
    fails(this::validate, "must be a token below 100 or a row of the previous step: 100");
    batch.clear();
    sequence(1, 0);
    batch.addSampledToken(2, 0);
    fails(this::validate, "must be a token below 100 or a row of the previous step: -3");
  }

  @Test
  void aSequenceHasTokensAndNoMoreRowsThanTokens() {
    sequence(0, 0);
    fails(this::validate, "must be 1 <= max(1, wanted) <= tokens: wanted=0 tokens=0");
    batch.clear();
    sequence(3, 0, 1, 2);
    fails(this::validate, "must be 1 <= max(1, wanted) <= tokens: wanted=3 tokens=2");
  }

  @Test
  void aSequenceHasABlockForEachOfItsPositionsInEachGroup() {
    sequence(1, 7, 1, 2);
    fails(this::validate, "must have a block for position 8: blocks=2 of 4");
    batch.clear();
    batch.addSequence(-1, 1);
    batch.addBlock(0, 1);
    batch.addToken(1, 0);
    fails(this::validate, "must have a block for position 0: blocks=0 of 4");
  }

  @Test
  void blocksOfTablesAndCopiesAreInsideThePool() {
    batch.addSequence(-1, 1);
    batch.addBlock(0, 1);
    batch.addBlock(1, 10);
    batch.addToken(1, 0);
    fails(this::validate, "must be 0 <= block < 10: block=10");
    batch.clear();
    sequence(1, 0, 1);
    batch.addCopy(0, -1, 2);
    fails(this::validate, "must be 0 <= block < 10: block=-1");
    batch.clear();
    sequence(1, 0, 1);
    batch.addCopy(1, 2, 10);
    fails(this::validate, "must be 0 <= block < 10: block=10");
  }

  @Test
  void tokensAndBlocksBelongToASequence() {
    fails(() -> batch.addToken(1, 0), "must follow addSequence: sequences=0");
    fails(() -> batch.addBlock(0, 1), "must follow addSequence: sequences=0");
  }

  @Test
  void groupsAreThoseOfTheProgram() {
    batch.addSequence(-1, 1);
    fails(() -> batch.addBlock(2, 1), "must be 0 <= group < 2: group=2");
    fails(() -> batch.addBlock(-1, 1), "must be 0 <= group < 2: group=-1");
    fails(() -> batch.addCopy(2, 1, 2), "must be 0 <= group < 2: group=2");
  }

  @Test
  void optionsAreAtLeastOne() {
    fails(
        () -> new CompileOptions(0, 1, 1, 1, 1, 1, KvFormat.F32, LatentForm.AUTO, Set.of()),
        "must be >= 1: maxTokens=0");
    fails(
        () -> new CompileOptions(1, 1, 1, 1, 1, -1, KvFormat.F32, LatentForm.AUTO, Set.of()),
        "must be >= 1: maxBlocksPerSequence=-1");
  }
}
