import dev.fathom.backend.BackendProvider;
import dev.fathom.cuda.CudaProvider;

/** The CUDA backend of Fathom. */
module dev.fathom.cuda {
  requires transitive dev.fathom.core;
  requires org.bytedeco.javacpp;
  requires org.bytedeco.cuda;
  requires org.slf4j;
  requires static transitive org.jspecify;

  provides BackendProvider with
      CudaProvider;
}
