package dev.fathom;

/** Why a generation ended. */
public enum FinishReason {
  /** The model put out one of its end tokens. */
  EOS,
  /** A stop string or a stop token of the request came; {@link Choice#stop()} says which. */
  STOP,
  /** The model ended its answer with calls of tools. */
  TOOL_CALLS,
  /** {@code maxTokens} tokens were put out. */
  LENGTH,
  /** Prompt and output fill the context of the loaded model. */
  CONTEXT,
  /** The output repeated itself and the request asked to end then. */
  REPETITION,
  /** The request's time was up; what came before is kept. */
  DEADLINE,
  /** The stream was closed or the future cancelled. */
  CANCELLED,
  /** The generation failed; what came before the failure is kept. */
  ERROR
}
