package dev.fathom.backend.contract;

/**
 * Everything that a backend promises, to be extended by one class that names its provider:
 *
 * <pre>{@code
 * class CpuContractTest extends BackendContract {
 *   @Override
 *   protected BackendProvider provider() {
 *     return new CpuProvider();
 *   }
 * }
 * }</pre>
 *
 * <p>{@code dev.fathom.golden} has the same for whole models: {@code GoldenContract} and {@code
 * SampleContract}.
 *
 * <p>Override {@code bitIdentical}, {@code toleranceFactor}, {@code latentForms}, {@code
 * weightFormats}, {@code kvFormats}, {@code blockTokens} or {@code supports} only where the backend
 * documents less than the default.
 */
public abstract class BackendContract extends FailureContract {}
