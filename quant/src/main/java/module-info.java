/** Number formats and the mathematics of quantizers. */
module dev.fathom.quant {
  requires static transitive org.jspecify;

  exports dev.fathom.quant;
}
