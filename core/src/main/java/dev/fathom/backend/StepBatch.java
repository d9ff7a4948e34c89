package dev.fathom.backend;

import dev.fathom.kvcache.BlockPool;
import dev.fathom.kvcache.BlockTable;
import dev.fathom.kvcache.GroupPool;
import dev.fathom.kvcache.KvGroup;
import java.util.List;

/**
 * What a step computes: flat int arrays of fixed capacity, refilled for every step.
 *
 * <p>Sequences lie one after the other. Sequence s owns tokens [firstToken(s), firstToken(s + 1))
 * at consecutive positions, wants the logits of its last numWanted(s) tokens (1 to sample, k + 1 to
 * verify k drafts, 0 for a chunk of a prompt), and has one block table for each KV group: block i
 * covers positions [i, i + 1) times the {@link KvGroup#blockSpan} of the group; in a group with a
 * window, blocks that no token of the step needs may be {@link BlockPool#NO_BLOCK}. Rows are
 * numbered over all sequences in order. Block copies run before anything else.
 *
 * <p>Filled by one thread: {@link #clear}, {@link #addCopy}, then for each sequence {@link
 * #addSequence}, {@link #addBlock} or {@link #addTable}, {@link #addToken}. Nothing is allocated
 * after construction.
 *
 * <p>A draft program reads, beside its tokens, a hidden state for each: what the previous step's
 * program put out as {@link dev.fathom.program.Program#STATE} for the token that {@link #addHidden}
 * names.
 */
public final class StepBatch {

  /** Adapter slot of a sequence without an adapter. */
  public static final int NO_ADAPTER = -1;

  private final int maxSequences;
  private final int maxRows;
  private final int numGroups;
  private final GroupPool[] groups;
  private final int maxBlocks;
  private final int[] token;
  private final int[] position;
  private final int[] tokenSequence;
  private final int[] hidden;
  private final int[] firstToken;
  private final int[] firstRow;
  private final int[] numWanted;
  private final int[] adapterSlot;
  private final int[] numBlocks;
  private final int[] blocks;
  private final int[] copies;
  private int program;
  private int numTokens;
  private int numSequences;
  private int numRows;
  private int numCopies;

  /**
   * Creates a buffer.
   *
   * @param options capacities
   * @param kvGroups KV groups of the program
   */
  public StepBatch(CompileOptions options, List<KvGroup> kvGroups) {
    this.maxSequences = options.maxSequences();
    this.maxRows = options.maxRows();
    this.numGroups = kvGroups.size();
    this.groups = new GroupPool[numGroups];
    for (int g = 0; g < numGroups; g++) {
      KvGroup group = kvGroups.get(g);
      int span = group.blockSpan(options.blockTokens());
      groups[g] = new GroupPool(span, group.windowTokens(), options.numBlocks(g));
    }
    this.maxBlocks = options.maxBlocksPerSequence();
    this.token = new int[options.maxTokens()];
    this.position = new int[options.maxTokens()];
    this.tokenSequence = new int[options.maxTokens()];
    this.hidden = new int[options.maxTokens()];
    this.firstToken = new int[maxSequences + 1];
    this.firstRow = new int[maxSequences + 1];
    this.numWanted = new int[maxSequences];
    this.adapterSlot = new int[maxSequences];
    this.numBlocks = new int[maxSequences * numGroups];
    this.blocks = new int[maxSequences * numGroups * maxBlocks];
    this.copies = new int[3 * maxSequences * numGroups];
  }

  /** Forgets all sequences and copies; what follows is a step of the main program. */
  public void clear() {
    clear(0);
  }

  /**
   * Forgets all sequences and copies; what follows is a step of this program. Each token of a draft
   * program (1 and above) needs a hidden state: {@link #addHidden}.
   *
   * @param stepProgram index in the list that was compiled, 0 for the main program
   */
  public void clear(int stepProgram) {
    if (stepProgram < 0) {
      throw new IllegalArgumentException("must be >= 0: program=" + stepProgram);
    }
    program = stepProgram;
    numTokens = 0;
    numSequences = 0;
    numRows = 0;
    numCopies = 0;
  }

  /** Adds a copy of a block to another of the same group; copies run in the order added. */
  public void addCopy(int group, int source, int destination) {
    checkGroup(group);
    if (3 * numCopies == copies.length) {
      throw new IllegalArgumentException("must be <= " + numCopies + ": block copies of a step");
    }
    copies[3 * numCopies] = group;
    copies[3 * numCopies + 1] = source;
    copies[3 * numCopies + 2] = destination;
    numCopies++;
  }

  /**
   * Starts a sequence.
   *
   * @param slot adapter slot, or {@link #NO_ADAPTER}
   * @param wanted rows wanted: logits of its last tokens
   * @return its index in the step
   */
  public int addSequence(int slot, int wanted) {
    if (numSequences == maxSequences) {
      throw new IllegalArgumentException("must be <= " + maxSequences + ": sequences of a step");
    }
    if (wanted < 0 || numRows + wanted > maxRows) {
      throw new IllegalArgumentException(
          "must be 0 <= wanted <= " + (maxRows - numRows) + ": wanted=" + wanted);
    }
    int s = numSequences++;
    adapterSlot[s] = slot;
    numWanted[s] = wanted;
    firstToken[s] = numTokens;
    firstToken[s + 1] = numTokens;
    firstRow[s] = numRows;
    numRows += wanted;
    firstRow[s + 1] = numRows;
    for (int g = 0; g < numGroups; g++) {
      numBlocks[s * numGroups + g] = 0;
    }
    return s;
  }

  /** Appends a block to a group's table of the sequence added last. */
  public void addBlock(int group, int block) {
    checkSequence();
    checkGroup(group);
    int table = (numSequences - 1) * numGroups + group;
    if (numBlocks[table] == maxBlocks) {
      throw new IllegalArgumentException("must be <= " + maxBlocks + ": blocks of a sequence");
    }
    blocks[table * maxBlocks + numBlocks[table]++] = block;
  }

  /** Sets a group's table of the sequence added last; see {@link #addBlock}. */
  public void addTable(int group, BlockTable table) {
    checkSequence();
    checkGroup(group);
    if (table.numBlocks() > maxBlocks) {
      throw new IllegalArgumentException("must be <= " + maxBlocks + ": blocks of a sequence");
    }
    int at = (numSequences - 1) * numGroups + group;
    table.copyTo(blocks, at * maxBlocks);
    numBlocks[at] = table.numBlocks();
  }

  /** Appends a token to the sequence added last. Positions of a sequence are consecutive. */
  public void addToken(int id, int at) {
    if (id < 0) {
      throw new IllegalArgumentException("must be >= 0: token=" + id);
    }
    append(id, at);
  }

  /** Appends what a row of the previous step sampled to the sequence added last. */
  public void addSampledToken(int previousRow, int at) {
    if (previousRow < 0) {
      throw new IllegalArgumentException("must be >= 0: previousRow=" + previousRow);
    }
    append(-1 - previousRow, at);
  }

  /**
   * Names the token of the previous step, of whichever program, whose state the token added last
   * continues.
   */
  public void addHidden(int previousToken) {
    if (numTokens == 0 || previousToken < 0) {
      throw new IllegalArgumentException(
          "must be >= 0 and follow addToken: previousToken=" + previousToken);
    }
    hidden[numTokens - 1] = previousToken;
  }

  private void checkSequence() {
    if (numSequences == 0) {
      throw new IllegalArgumentException("must follow addSequence: sequences=0");
    }
  }

  private void checkGroup(int group) {
    if (group < 0 || group >= numGroups) {
      throw new IllegalArgumentException("must be 0 <= group < " + numGroups + ": group=" + group);
    }
  }

  private void append(int id, int at) {
    checkSequence();
    if (numTokens == token.length) {
      throw new IllegalArgumentException("must be <= " + token.length + ": tokens of a step");
    }
    int s = numSequences - 1;
    boolean follows = numTokens == firstToken[s] || at == position[numTokens - 1] + 1;
    if (at < 0 || !follows) {
      throw new IllegalArgumentException("must follow the position before it: position=" + at);
    }
    token[numTokens] = id;
    position[numTokens] = at;
    tokenSequence[numTokens] = s;
    hidden[numTokens] = -1;
    firstToken[s + 1] = ++numTokens;
  }

  /**
   * Checks what only the whole step shows.
   *
   * @param vocabSize ids are below it
   * @param previousRows rows of the previous step
   * @throws IllegalArgumentException naming the rule and the value
   */
  public void validate(int vocabSize, int previousRows) {
    for (int s = 0; s < numSequences; s++) {
      int len = firstToken[s + 1] - firstToken[s];
      if (len == 0 || numWanted[s] > len) {
        throw new IllegalArgumentException(
            "must be 1 <= max(1, wanted) <= tokens: wanted=" + numWanted[s] + " tokens=" + len);
      }
      validateBlocks(s);
    }
    for (int t = 0; t < numTokens; t++) {
      if (token[t] >= vocabSize || -1 - token[t] >= previousRows) {
        throw new IllegalArgumentException(
            "must be a token below " + vocabSize + " or a row of the previous step: " + token[t]);
      }
    }
    for (int c = 0; c < numCopies; c++) {
      checkBlock(copySource(c), copyGroup(c));
      checkBlock(copyDestination(c), copyGroup(c));
    }
  }

  /**
   * Checks which program is run and what its tokens continue.
   *
   * @param numPrograms programs of the executable
   * @param previousTokens tokens of the previous step
   * @throws IllegalArgumentException naming the rule and the value
   */
  public void validateProgram(int numPrograms, int previousTokens) {
    if (program >= numPrograms) {
      throw new IllegalArgumentException(
          "must be 0 <= program < " + numPrograms + ": program=" + program);
    }
    for (int t = 0; t < numTokens && program > 0; t++) {
      if (hidden[t] < 0 || hidden[t] >= previousTokens) {
        throw new IllegalArgumentException(
            "must continue one of the " + previousTokens + " tokens before: hidden=" + hidden[t]);
      }
    }
  }

  private void validateBlocks(int s) {
    int first = position[firstToken[s]];
    int last = position[firstToken[s + 1] - 1];
    for (int g = 0; g < numGroups; g++) {
      int count = numBlocks[s * numGroups + g];
      int span = groups[g].blockTokens();
      if (last >= (long) count * span) {
        throw new IllegalArgumentException(
            "must have a block for position " + last + ": blocks=" + count + " of " + span);
      }
      for (int i = groups[g].firstNeeded(first) / span; i < count; i++) {
        checkBlock(block(s, g, i), g);
      }
    }
  }

  private void checkBlock(int block, int group) {
    int poolBlocks = groups[group].numBlocks();
    if (block < 0 || block >= poolBlocks) {
      throw new IllegalArgumentException("must be 0 <= block < " + poolBlocks + ": block=" + block);
    }
  }

  /** Returns the program that the step runs, 0 for the main one. */
  public int program() {
    return program;
  }

  /** Returns the token of the previous step whose state a token continues, or -1. */
  public int hidden(int t) {
    return hidden[t];
  }

  /** Returns T, the tokens of the step. */
  public int numTokens() {
    return numTokens;
  }

  /** Returns S, the sequences of the step. */
  public int numSequences() {
    return numSequences;
  }

  /** Returns R, the wanted rows of the step. */
  public int numRows() {
    return numRows;
  }

  /** Returns the number of block copies. */
  public int numCopies() {
    return numCopies;
  }

  /** Returns the id of a token, or -1 - r where it is what row r of the previous step sampled. */
  public int token(int t) {
    return token[t];
  }

  /** Returns the absolute position of a token in its sequence, from 0. */
  public int position(int t) {
    return position[t];
  }

  /** Returns the sequence of a token. */
  public int sequenceOf(int t) {
    return tokenSequence[t];
  }

  /** Returns the first token of a sequence; for s = S the number of tokens. */
  public int firstToken(int s) {
    return firstToken[s];
  }

  /** Returns the first row of a sequence; for s = S the number of rows. */
  public int firstRow(int s) {
    return firstRow[s];
  }

  /** Returns how many rows a sequence wants. */
  public int numWanted(int s) {
    return numWanted[s];
  }

  /** Returns the token whose logits row r of sequence s is. */
  public int tokenOfRow(int s, int r) {
    return firstToken[s + 1] - firstRow[s + 1] + r;
  }

  /** Returns the adapter slot of a sequence. */
  public int adapterSlot(int s) {
    return adapterSlot[s];
  }

  /** Returns how many blocks a sequence has in a group. */
  public int numBlocks(int s, int group) {
    return numBlocks[s * numGroups + group];
  }

  /** Returns the i-th block of a sequence in a group, or {@link BlockPool#NO_BLOCK}. */
  public int block(int s, int group, int i) {
    return blocks[(s * numGroups + group) * maxBlocks + i];
  }

  /** Returns the group of a block copy. */
  public int copyGroup(int c) {
    return copies[3 * c];
  }

  /** Returns the source of a block copy. */
  public int copySource(int c) {
    return copies[3 * c + 1];
  }

  /** Returns the destination of a block copy. */
  public int copyDestination(int c) {
    return copies[3 * c + 2];
  }
}
