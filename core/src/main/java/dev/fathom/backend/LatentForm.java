package dev.fathom.backend;

/** How latent attention is computed; both forms are the same function. */
public enum LatentForm {
  /** The backend's choice; the CPU and the reference choose {@link #ABSORBED}. */
  AUTO,
  /** Keys and values are rebuilt from the latents by kv_b. */
  EXPANDED,
  /** kv_b is applied to the query and to the weighted latents. */
  ABSORBED
}
