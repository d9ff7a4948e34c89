import dev.fathom.backend.BackendProvider;
import dev.fathom.cpu.CpuProvider;

/** The CPU backend of Fathom. */
module dev.fathom.cpu {
  requires transitive dev.fathom.core;
  requires jdk.incubator.vector;
  requires org.slf4j;
  requires static transitive org.jspecify;

  provides BackendProvider with
      CpuProvider;
}
