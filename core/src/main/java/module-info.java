import dev.fathom.backend.BackendProvider;
import dev.fathom.backend.reference.ReferenceProvider;

/** Checkpoints, text, programs, engine and the API of Fathom. */
module dev.fathom.core {
  exports dev.fathom.arch;
  exports dev.fathom.backend;
  exports dev.fathom.checkpoint;
  exports dev.fathom.error;
  exports dev.fathom.program;
  exports dev.fathom.quantization;
  exports dev.fathom.sampling;
  exports dev.fathom.text;
  exports dev.fathom;

  requires transitive dev.fathom.kvcache;
  requires transitive dev.fathom.moe;
  requires transitive dev.fathom.quant;
  requires java.management;
  requires jdk.jfr;
  requires jdk.management;
  requires org.slf4j;
  requires static transitive org.jspecify;

  uses BackendProvider;

  provides BackendProvider with
      ReferenceProvider;
}
