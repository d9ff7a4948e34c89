/** Checkpoints, text, programs, engine and the API of Fathom. */
module dev.fathom.core {
  exports dev.fathom.error;

  requires transitive dev.fathom.kvcache;
  requires transitive dev.fathom.moe;
  requires transitive dev.fathom.quant;
  requires org.slf4j;
  requires static transitive org.jspecify;
}
