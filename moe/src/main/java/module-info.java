/** Routing of tokens to experts. */
module dev.fathom.moe {
  requires static transitive org.jspecify;

  exports dev.fathom.moe;
}
