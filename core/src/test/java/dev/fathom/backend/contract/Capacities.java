package dev.fathom.backend.contract;

import dev.fathom.backend.CompileOptions;
import dev.fathom.backend.LatentForm;
import dev.fathom.kvcache.KvFormat;
import java.util.List;
import java.util.Set;

/** Compile options of a test: small capacities, changed one at a time. */
public final class Capacities {

  private int maxTokens = 64;
  private int blockTokens = 4;
  private List<Integer> numBlocks = List.of(40);
  private int maxBlocks = 20;
  private KvFormat kvFormat = KvFormat.F32;
  private LatentForm latentForm = LatentForm.AUTO;
  private Set<String> outputs = Set.of();

  /** Most tokens and rows of a step. */
  public Capacities maxTokens(int tokens) {
    maxTokens = tokens;
    return this;
  }

  /** Size and number of KV blocks and the longest block table. */
  public Capacities blocks(int tokensOfBlock, int inPool, int ofSequence) {
    blockTokens = tokensOfBlock;
    numBlocks = List.of(inPool);
    maxBlocks = ofSequence;
    return this;
  }

  /** Number of KV blocks of each group. */
  public Capacities pools(List<Integer> blocks) {
    numBlocks = blocks;
    return this;
  }

  /** Element format of the KV cache. */
  public Capacities kv(KvFormat format) {
    kvFormat = format;
    return this;
  }

  /** Form of latent attention. */
  public Capacities form(LatentForm form) {
    latentForm = form;
    return this;
  }

  /** Outputs that steps keep. */
  public Capacities outputs(String... names) {
    outputs = Set.of(names);
    return this;
  }

  int blockTokens() {
    return blockTokens;
  }

  /** Returns the options. */
  public CompileOptions options() {
    return new CompileOptions(
        maxTokens, 8, maxTokens, blockTokens, numBlocks, maxBlocks, kvFormat, latentForm, outputs);
  }
}
