package dev.fathom.program;

/** Which two elements a rotary embedding turns together. */
public enum RopeLayout {
  /** Elements 2i and 2i+1 (GPT-J, complex numbers): MLA of V2, V3, V3.2 and all of V4. */
  INTERLEAVED,
  /** Elements i and i+D/2 (NeoX, rotate_half): Llama, Qwen, MoE v1 and the indexer of V3.2. */
  HALF_SPLIT
}
