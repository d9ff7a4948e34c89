package dev.fathom.backend;

/** A queued step. Its results are valid until the next step of the executable is submitted. */
public interface StepHandle {

  /**
   * Waits until the step ended.
   *
   * @throws dev.fathom.error.BackendException where it failed
   */
  void await();

  /** Returns what each wanted row sampled, after {@link #await}. */
  SampledRows sampled();

  /**
   * Returns a named output that the executable was compiled for, after {@link #await}.
   *
   * @throws IllegalArgumentException where it was not
   */
  StepOutput output(String name);
}
