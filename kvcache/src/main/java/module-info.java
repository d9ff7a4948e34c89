/** Bookkeeping of a paged key-value cache. */
module dev.fathom.kvcache {
  requires static transitive org.jspecify;

  exports dev.fathom.kvcache;
}
