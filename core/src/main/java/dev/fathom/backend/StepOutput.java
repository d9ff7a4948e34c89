package dev.fathom.backend;

/**
 * A named output of a step, valid until the next step is submitted.
 *
 * @param data row-major float32, at least numRows * width elements; owned by the executable
 * @param numRows T or R of the step
 * @param width elements of a row
 */
public record StepOutput(float[] data, int numRows, int width) {}
